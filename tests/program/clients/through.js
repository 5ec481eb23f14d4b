// Uses a running Keylender through its task proxy by one published JavaScript client, unmodified and without credentials, as
// code in a task does: node tests/program/clients/through.js ALIAS
//
//   KEYLENDER_URL          the appliance, for its reference documents
//   TASKCLUSTER_PROXY_URL  a proxy to it, limited to pulse:namespace:taskcluster-<ALIAS>-through
'use strict';

const assert = require('assert').strict;
const path = require('path');
const {createRequire} = require('module');
const {pathToFileURL} = require('url');

const alias = process.argv[2];
const {KEYLENDER_URL, TASKCLUSTER_PROXY_URL} = process.env;

async function main() {
  const home = path.join(__dirname, '..', '..', '..', 'target', 'clients', 'package.json');
  const taskcluster = (await import(pathToFileURL(createRequire(home).resolve(alias)))).default;
  const reference = await (await fetch(`${KEYLENDER_URL}/references/pulse/v1/api.json`)).json();
  const Pulse = taskcluster.createClient(reference);
  const pulse = new Pulse({rootUrl: TASKCLUSTER_PROXY_URL, retries: 0});
  assert.equal((await pulse.ping()).alive, true);
  const own = `taskcluster-${alias}-through`;
  assert.equal((await pulse.claimNamespace(own, {})).namespace, own);
  assert.equal((await pulse.namespace(own)).namespace, own);
  const refused = await pulse.claimNamespace(`taskcluster-${alias}-other`, {}).then(() => undefined, error => error);
  assert.equal(refused && refused.code, 'InsufficientScopes');
}

main().then(() => console.log('ok'), error => {
  console.error(error);
  process.exit(1);
});
