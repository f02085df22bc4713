# syntax=docker/dockerfile:1
FROM oven/bun:1.4.5-slim AS build
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
RUN bun install --frozen-lockfile
COPY tsconfig.json ./
COPY drizzle drizzle
COPY scripts scripts
COPY src src
RUN bun run build && install -d -o 65532 -g 65532 /out/data

# The executable needs nothing beside it but glibc.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
COPY --from=build /app/dist/artel /usr/local/bin/artel
COPY --from=build --chown=nonroot:nonroot /out/data /data
ENV ARTEL_HOST=0.0.0.0 ARTEL_PORT=12000 ARTEL_DATA=/data
VOLUME /data
EXPOSE 12000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["/usr/local/bin/artel", "health"]
ENTRYPOINT ["/usr/local/bin/artel"]
CMD ["serve"]
