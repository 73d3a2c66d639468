# Mints a listener's token with nothing but the standard library: no request to the gateway, which has the same secret.
#
#     APP_SECRET=… ruby mint.rb ann 3600 news 'room.*'
#
# Prints the token of the user ann: for an hour, for the channel news and all that the pattern room.* matches.

require "json"
require "openssl"
require "securerandom"

# RFC 7515, appendix C: base64url without padding.
def encode(data)
  [data].pack("m0").tr("+/", "-_").delete("=")
end

def mint(secret, user, ttl_seconds, channels, app: "default")
  now = Time.now.to_i
  header = { alg: "HS256", typ: "JWT", kid: app }
  claims = {
    aud: "service-socket",
    channels: channels,
    sub: user,
    iat: now,
    exp: now + ttl_seconds,
    jti: SecureRandom.uuid, # names it, for revoking
  }
  signed = "#{encode(header.to_json)}.#{encode(claims.to_json)}"
  "#{signed}.#{encode(OpenSSL::HMAC.digest("SHA256", secret, signed))}"
end

if $PROGRAM_NAME == __FILE__
  user, ttl_seconds, *channels = ARGV
  puts mint(ENV.fetch("APP_SECRET"), user, Integer(ttl_seconds), channels)
end
