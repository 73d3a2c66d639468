# docker build -t service-socket . && docker run -p 3000:3000 -v service-socket:/data service-socket
FROM oven/bun:1.4.5 AS build
WORKDIR /app
# First what the dependencies depend on, so that a change of the sources does not install them anew.
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile --production
COPY . .
RUN bun run build && mkdir /data

FROM debian:12-slim
COPY --from=build /app/dist/service-socket /usr/local/bin/service-socket
# Of nobody that the system knows: it owns its data and nothing else.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV SOCKET_DATA=/data
VOLUME /data
EXPOSE 3000
# More than the 8 s that a drain has by default comes from whoever stops it: `docker run --stop-timeout 15`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${PORT:-3000} && printf 'GET /healthz HTTP/1.1\\r\\nHost: health\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["service-socket"]
