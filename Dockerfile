# One image for operator, relay and CLI: node, the libraries it names, CA certificates, and our tree with its production
# dependencies. The last stage starts from nothing: no shell, no package manager. Builds for every platform of the base image.
FROM docker.io/library/node:24-bookworm-slim AS build

# ldd names libraries and the loader by their paths; the certificates are those that node itself trusts
RUN for file in /usr/local/bin/node $(ldd /usr/local/bin/node | grep -o '/[^ )]*'); do \
      mkdir -p "/system${file%/*}" && cp -L "$file" "/system$file" || exit 1; \
    done \
 && mkdir -p /system/etc/ssl/certs && mkdir -m 1777 /system/tmp \
 && node -p 'tls.rootCertificates.join("\n")' >/system/etc/ssl/certs/ca-certificates.crt \
 && printf 'root:x:0:0:root:/:/nonexistent\nposthouse:x:10001:10001:posthouse:/tmp:/nonexistent\n' >/system/etc/passwd \
 && printf 'root:x:0:\nposthouse:x:10001:\n' >/system/etc/group \
 && printf 'hosts: files dns\n' >/system/etc/nsswitch.conf

# optional are only packaged copies of node itself; no script of a package runs
WORKDIR /modules/app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
 && npm sbom --omit=dev --omit=optional --package-lock-only --sbom-format=spdx >sbom.spdx.json \
 && rm -r node_modules/.package-lock.json package.json package-lock.json .npmrc \
 && find node_modules -name .bin -prune -exec rm -r {} + \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
 && find /modules -type d -exec chmod 755 {} + \
 && find /modules -type f -exec chmod 644 {} +

WORKDIR /tree/app
COPY LICENSE package.json ./
COPY bin bin
COPY cli cli
COPY crds crds
COPY operator operator
COPY relay relay
RUN find /tree -type d -exec chmod 755 {} + \
 && find /tree -type f -exec chmod 644 {} +

FROM scratch
LABEL org.opencontainers.image.title="posthouse" \
      org.opencontainers.image.description="A Kubernetes operator that runs a clustered SMTP relay whose queue no pod owns" \
      org.opencontainers.image.licenses="Apache-2.0"
# what changes least first: an update of ours is a pull of the last, small layer
COPY --from=build /system /
COPY --from=build /modules /
COPY --from=build /tree /
USER 10001:10001
# bin/posthouse.mjs replaces itself by node with the right flags for what it is asked to do: still process 1
ENTRYPOINT ["/usr/local/bin/node", "/app/bin/posthouse.mjs"]
CMD ["--help"]
