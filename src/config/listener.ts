/** A listener's token, which the command `listen` takes; no setting of the gateway, and no mistake beside those. */
export const TOKEN_ENV = "SOCKET_TOKEN";
