#!/usr/bin/env bash
# Packs the project, installs the tarball in an empty folder with npm 10 and 11, and uses it from there as a user would.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Built beforehand: a build by npm pack would take dist/ away from tests that run meanwhile.
node scripts/bootstrap.mjs
npm pack --ignore-scripts --silent --pack-destination "$folder" > /dev/null
npx publint "$folder"/*.tgz

# PostgreSQL refuses to run as root, and a package must not need it.
# The cache and the settings of the npm that may have called this script belong to another user.
registry=$(npm config get registry)
unset "${!npm_@}"
as_user=(env "HOME=$folder" "npm_config_registry=$registry")
if [ "$(id -u)" -eq 0 ]; then
  chown -R nobody "$folder"
  chmod 755 "$folder"
  as_user=(setpriv --reuid=nobody --regid=nogroup --clear-groups "${as_user[@]}")
fi

for npm in 10 11; do
  home=$folder/npm-$npm
  "${as_user[@]}" mkdir "$home"
  cd "$home"
  "${as_user[@]}" npx -y "npm@$npm" install --no-audit --no-fund --loglevel=error "$folder"/*.tgz > /dev/null
  generator=("${as_user[@]}" npx event-generator)
  "${generator[@]}" run --embedded --iterations 300 --seed 1 --quiet --metrics-port 0 --summary run.json --report run.html
  "${generator[@]}" load --embedded --rows 50 --quiet
  "${generator[@]}" inspect --set connection.embedded=true > inspect.txt
  "${generator[@]}" schema > schema.json
  node -e '
    const { readFileSync, existsSync } = require("node:fs");
    const { totals, exit } = JSON.parse(readFileSync("run.json", "utf8"));
    const has = (file) => existsSync(`node_modules/pg-event-generator/${file}`);
    const missing = ["grafana/event-generator.json", "examples/replication.yaml", "docs/configuration.md", "event-generator.schema.json"].filter((file) => !has(file));
    if (totals.committed !== 300 || exit.code !== 0) throw new Error(`the run committed ${totals.committed} of 300 operations: ${exit.reason}`);
    if (!readFileSync("run.html", "utf8").includes("</html>")) throw new Error("the report is not complete");
    if (missing.length > 0) throw new Error(`missing in the package: ${missing.join(", ")}`);'
  echo "npm $npm: installed from the tarball; run, load, inspect, schema and report work"
  cd "$folder"
done
