# warden in an image: npm run build, then docker build --tag registry-warden . (or podman build). No package is installed.
FROM node:24.22.3-bookworm-slim
COPY dist/warden.mjs /usr/local/lib/registry-warden/warden.mjs
COPY dist/THIRD_PARTY_NOTICES LICENSE /usr/share/doc/registry-warden/
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["node", "/usr/local/lib/registry-warden/warden.mjs"]
