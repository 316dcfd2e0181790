# The image of Quartet: `docker build --tag quartet .`; compose.yaml runs it beside Prometheus and Grafana.
# Both bases are pinned to a release; pin them to digests where your registry mirrors them.

# The compiler, and a C compiler for mimalloc and Lua.
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /source

# Dependencies first, with stubs in place of our own sources: this layer stays until a manifest changes.
COPY Cargo.toml Cargo.lock build.rs commit.txt ./
COPY protocol/Cargo.toml protocol/
COPY deploy/docker/stub-sources.sh deploy/docker/
RUN deploy/docker/stub-sources.sh \
    && cargo build --locked --release --bin quartet \
    && cargo clean --locked --release --package quartet --package quartet-protocol

# The program itself.  QUARTET_COMMIT is what --version shows: --build-arg QUARTET_COMMIT=$(git rev-parse HEAD)
ARG QUARTET_COMMIT=""
COPY protocol/src protocol/src
COPY src src
RUN QUARTET_COMMIT="$QUARTET_COMMIT" cargo build --locked --release --bin quartet \
    && strip --strip-all -o /quartet target/release/quartet

FROM debian:12.12-slim
RUN useradd --uid 10001 --user-group --no-log-init --no-create-home --home-dir /data --shell /usr/sbin/nologin quartet \
    && install --directory --owner=quartet --group=quartet --mode=0700 /data
COPY --from=build /quartet /usr/local/bin/quartet
COPY LICENSE /usr/share/doc/quartet/

# A container is reached through its published ports, so it listens on all its addresses.  Without a password it
# serves nobody there but itself (protected mode): set QUARTET_REQUIREPASS.
ENV QUARTET_BIND=0.0.0.0 \
    QUARTET_DIR=/data \
    QUARTET_HTTP_PORT="8080 8000 5000"
EXPOSE 6379 4222 8080 8000 5000

USER 10001:10001
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
# It reads the same variables as the server.  A setting that is a flag of the server would have to be repeated here.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["quartet", "health"]
ENTRYPOINT ["quartet"]
