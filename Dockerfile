# Doorward as a container: nothing in it but the program, the C library and the roots of trust; not root, and with a
# root file system that can be read-only. docs/deploy/containers.md
#
# The tags move with patch releases. Pin what you tested by its digest: FROM rust:1.95-trixie@sha256:…

FROM rust:1.95-trixie AS build
WORKDIR /src
COPY . .
RUN deploy/release \
    && install -D -t /out/usr/bin target/release-files/doorward \
    && install -d -m 0700 /out/var/lib/doorward

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /out/usr/bin/doorward /usr/bin/doorward
# For the embedded stores; a server with PostgreSQL and Redis writes nothing.
COPY --from=build --chown=65532:65532 /out/var/lib/doorward /var/lib/doorward
WORKDIR /var/lib/doorward
ENV ROCKET_PROFILE=release ROCKET_ADDRESS=0.0.0.0 DOORWARD_DATA_DIR=/var/lib/doorward
# By number, so that Kubernetes sees that it is not root.
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s --retries=3 CMD ["/usr/bin/doorward", "healthcheck"]
ENTRYPOINT ["/usr/bin/doorward"]
CMD ["serve"]
