# Builds lpbridge from source into an image that holds nothing but the binary.
# With --build-arg BINARY=prebuilt the binary is taken from dist/lpbridge instead.
ARG BINARY=built

FROM golang:1.26 AS built
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=${VERSION}" -o /out/lpbridge ./cmd/lpbridge \
 && mkdir -p /out/data

FROM scratch AS prebuilt
COPY dist/lpbridge /out/lpbridge
COPY dist/data /out/data

FROM ${BINARY} AS binary

FROM scratch
COPY --from=binary /out/lpbridge /lpbridge
COPY --from=binary --chown=65532:65532 /out/data /data
USER 65532:65532
ENV LPBRIDGE_STORE=sqlite:/data/lpbridge.db
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/lpbridge", "healthcheck"]
ENTRYPOINT ["/lpbridge"]
CMD ["run"]
