#!/bin/sh
# Install the servers that the tests start, and the browser that they drive, as far as they are
# missing: for `make servers`. The provider of OpenID Connect comes from npm, with the Node.js that it
# runs on, as its lock file says: Debian's may be older.
#
# The tests start servers of their own on free ports. So what a package would start by itself,
# on its usual port, is neither started now nor at the next boot; a server that was installed
# before is left as it is.
set -eu

present() {
    for program in "$@"; do
        [ -x "$program" ] && return 0
    done
    return 1
}

packages=""
services=""
present /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
    /usr/local/bin/initdb /usr/bin/initdb || {
    packages="$packages postgresql"
    services="$services postgresql"
}
present /usr/lib/rabbitmq/bin/rabbitmq-server /usr/local/lib/rabbitmq/bin/rabbitmq-server || {
    packages="$packages rabbitmq-server"
    services="$services rabbitmq-server"
    present /usr/bin/epmd || services="$services epmd.socket epmd"
}
present /usr/sbin/nginx /usr/local/sbin/nginx /usr/local/bin/nginx /usr/bin/nginx || {
    packages="$packages nginx-light"
    services="$services nginx"
}
present /usr/sbin/pgbouncer /usr/local/sbin/pgbouncer /usr/local/bin/pgbouncer /usr/bin/pgbouncer || {
    packages="$packages pgbouncer"
    services="$services pgbouncer"
}
present /usr/bin/chromium /usr/local/bin/chromium /snap/bin/chromium ||
    packages="$packages chromium fonts-dejavu-core"

command -v npm >/dev/null || packages="$packages npm"

# npm keeps beside what it installed a copy of the lock file, which is older than a changed one.
install_provider() {
    provider=$(dirname "$0")/provider
    installed=$provider/node_modules/.package-lock.json
    if [ -e "$installed" ] && [ -z "$(find "$provider/package-lock.json" -newer "$installed")" ]; then
        return
    fi
    echo "Installing: oidc-provider and Node.js, from npm"
    (cd "$provider" && npm ci --silent)
}

if [ -z "$packages" ]; then
    install_provider
    echo "PostgreSQL, PgBouncer, RabbitMQ, nginx, Chromium and oidc-provider are installed."
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "The tests need these Debian packages, or what they are called here:$packages" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "The tests need programs that are not installed." >&2
    echo "Run 'make servers' as root, or: sudo apt-get install$packages" >&2
    exit 1
fi

# Debian's packages ask this file whether they may start what they bring; 101 is no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

echo "Installing:$packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update
# The list is words, not one word.
# shellcheck disable=SC2086
apt-get install -y --no-install-recommends $packages

for service in $services; do
    if [ -d /run/systemd/system ]; then
        systemctl disable --now --quiet "$service" || true
    elif service "$service" status >/dev/null 2>&1; then
        service "$service" stop
    fi
done

install_provider
