"""
Mints a listener's token with nothing but the standard library: no request to the gateway, which has the same secret.

    APP_SECRET=… python3 mint.py ann 3600 news 'room.*'

Prints the token of the user ann: for an hour, for the channel news and all that the pattern room.* matches.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import sys
import time


def mint(secret, user, ttl_seconds, channels, app="default"):
    now = int(time.time())
    header = {"alg": "HS256", "typ": "JWT", "kid": app}
    claims = {
        "aud": "service-socket",
        "channels": channels,
        "sub": user,
        "iat": now,
        "exp": now + ttl_seconds,
        "jti": secrets.token_hex(16),  # names it, for revoking
    }
    signed = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    signature = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encode(signature)}"


def encode(data):
    """RFC 7515, appendix C: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    _, user, ttl_seconds, *channels = sys.argv
    print(mint(os.environ["APP_SECRET"], user, int(ttl_seconds), channels))
