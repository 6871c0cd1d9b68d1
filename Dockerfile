# Builds the image from source: lpbridge, and lpsim beside it, on nothing. Several
# platforms at once: docker buildx build --platform linux/amd64,linux/arm64 .
# With --build-arg BINARY=prebuilt it takes what lies in dist/image instead, which
# deploy/image-test and `make release` put there.
ARG BINARY=built

FROM --platform=$BUILDPLATFORM golang:1.26 AS built
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /out/root/ ./cmd/lpbridge ./cmd/lpsim \
 && mkdir -p /out/data /out/root/tmp && chmod 1777 /out/root/tmp

FROM scratch AS prebuilt
ARG TARGETOS TARGETARCH
COPY dist/image/${TARGETOS}_${TARGETARCH} /out/root
COPY dist/image/data /out/data

FROM ${BINARY} AS binaries

FROM scratch
# lpbridge, lpsim, and /tmp for the sandbox.
COPY --from=binaries /out/root /
COPY --from=binaries --chown=65532:65532 /out/data /data
USER 65532:65532
ENV LPBRIDGE_STORE=sqlite:/data/lpbridge.db
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/lpbridge", "healthcheck"]
ENTRYPOINT ["/lpbridge"]
CMD ["run"]
