// Uses a running Keylender through one published JavaScript client, unmodified: node tests/program/clients/run.js ALIAS
//
// ALIAS is one of the npm lines of tests/program/clients/packages; scripts/client-packages has installed it in target/clients.
// The environment says which server:
//   KEYLENDER_URL            such as http://127.0.0.1:8080, without a slash at the end
//   CLIENT_ID, ACCESS_TOKEN  a permanent client of it that has, for this ALIAS, at least the scopes
//                            pulse:namespace:taskcluster-<ALIAS>-*  and  auth:create-client:<CLIENT_ID>/*
//                            but neither `*` nor pulse:namespace:*
// The server has the default NAMESPACE_PREFIX and a broker that works. Nothing else is assumed: other namespaces may
// exist, other runners may be at work. Leaves two or four namespaces behind, which expire within the hour.
//
// Every story is told twice where the package has a Pulse class of its own: with that, and with the class that the
// package makes from our reference document. Prints one line per story; the first failure ends the run with status 1.
'use strict';

const assert = require('assert').strict;
const path = require('path');
const {createRequire} = require('module');
const {pathToFileURL} = require('url');

const HOUR_MS = 60 * 60 * 1000;
const NEVER_CLAIMED = 'taskcluster-nobody-claims-this';

const alias = process.argv[2];
const {KEYLENDER_URL, CLIENT_ID, ACCESS_TOKEN} = process.env;
if (!alias || !KEYLENDER_URL || !CLIENT_ID || !ACCESS_TOKEN) {
  console.error('usage: KEYLENDER_URL=… CLIENT_ID=… ACCESS_TOKEN=… node run.js ALIAS');
  process.exit(2);
}
// The older packages take their defaults from these.
Object.keys(process.env).filter(name => name.startsWith('TASKCLUSTER_')).forEach(name => delete process.env[name]);
process.noDeprecation = true; // the 2018 packages are full of `new Buffer`

const permanent = {clientId: CLIENT_ID, accessToken: ACCESS_TOKEN};

async function loadPackage() {
  const home = path.join(__dirname, '..', '..', '..', 'target', 'clients', 'package.json');
  const file = createRequire(home).resolve(alias);
  return (await import(pathToFileURL(file))).default;
}

async function fetchJson(url) {
  const response = await fetch(url);
  assert.equal(response.status, 200, `GET ${url} answers ${response.status}`);
  assert.match(response.headers.get('content-type') || '', /^application\/json/, `GET ${url} is not JSON`);
  return await response.json();
}

// The manifest has had two shapes that are still around: {references: [url]} and {services: [{apis: [{reference}]}]}.
async function loadReference() {
  const manifest = await fetchJson(`${KEYLENDER_URL}/references/manifest.json`);
  const urls = (manifest.references ||
    manifest.services.flatMap(service => service.apis.map(api => api.reference)))
    .map(url => new URL(url, KEYLENDER_URL).href);
  const url = `${KEYLENDER_URL}/references/pulse/v1/api.json`;
  assert.ok(urls.includes(url), `the manifest does not list ${url} but ${urls.join(' ')}`);

  const reference = await fetchJson(url);
  assert.deepEqual(reference.entries.map(entry => entry.name).sort(),
    ['claimNamespace', 'listNamespaces', 'namespace', 'ping']);
  for (const schema of reference.entries.flatMap(entry => [entry.input, entry.output]).filter(Boolean)) {
    const document = await fetchJson(`${KEYLENDER_URL}/schemas/pulse/${schema.replace(/#$/, '')}`);
    assert.equal(document.type, 'object', `schema ${schema} describes no object`);
  }
  const request = await fetchJson(`${KEYLENDER_URL}/schemas/pulse/v1/namespace-request.json`);
  assert.deepEqual(Object.keys(request.properties).sort(), ['contact', 'expires']);
  return reference;
}

// What the error of a refused call looks like to every client since 2018.
async function refused(statusCode, code, call) {
  const outcome = await call.then(() => undefined, error => error);
  assert.ok(outcome, `the call succeeded, ${statusCode} ${code} was expected`);
  assert.equal(outcome.statusCode, statusCode, `status ${outcome.statusCode}: ${outcome.message}`);
  assert.equal(outcome.code, code);
  assert.ok(outcome.message.includes(code), `the message does not name ${code}: ${outcome.message}`);
  assert.equal(outcome.body.code, code);
  assert.ok(outcome.body.requestInfo.method, 'the error body has no requestInfo.method');
}

function stories(taskcluster, Pulse, prefix) {
  const [one, two] = [`${prefix}-one`, `${prefix}-two`];
  const root = Pulse.baseUrlEra ? {baseUrl: `${KEYLENDER_URL}/v1`} : {rootUrl: KEYLENDER_URL};
  // A retry would only hide what went wrong.
  const connect = (credentials, more) => new Pulse.Class({...root, credentials, retries: 0, ...more});
  const pulse = connect(permanent);
  const wish = {expires: new Date(Date.now() + HOUR_MS), contact: 'someone@example.com'};
  const temporary = (scopes, more) => taskcluster.createTemporaryCredentials({
    scopes, credentials: permanent, start: new Date(), expiry: new Date(Date.now() + HOUR_MS), ...more});
  const scopeOf = namespace => `pulse:namespace:${namespace}`;
  let claim;

  return {
    'ping, with credentials and without': async () => {
      assert.equal((await pulse.ping()).alive, true);
      assert.equal((await connect({}).ping()).alive, true);
    },
    'claimNamespace with expires and contact': async () => {
      claim = await pulse.claimNamespace(one, wish);
      assert.deepEqual(Object.keys(claim), ['namespace', 'created', 'expires', 'connectionString', 'reclaimAt']);
      assert.equal(claim.namespace, one);
      assert.equal(claim.expires, wish.expires.toISOString());
      assert.ok(new Date(claim.reclaimAt) > new Date(), `reclaimAt ${claim.reclaimAt} has passed`);
      const [, user] = claim.connectionString.match(/^amqps?:\/\/([^:@/]+):[^:@/]+@[^@/]+:\d+\/[^/]+$/) || [];
      assert.ok(user && user.includes(one), 'the connection string is not of this namespace');
    },
    'the same claim again gives the identical document': async () => {
      assert.deepEqual(await pulse.claimNamespace(one, wish), claim);
    },
    'claimNamespace with an empty wish': async () => {
      assert.equal((await pulse.claimNamespace(two, {})).namespace, two);
    },
    'namespace': async () => {
      const {namespace, created, expires} = claim;
      assert.deepEqual(await pulse.namespace(one), {namespace, created, expires});
    },
    'listNamespaces, page by page': async () => {
      const pages = [];
      // The oldest client knows the token by the name it had before, so it can see the first page only.
      const knowsToken = Pulse.Class.prototype.listNamespaces.entryReference.query.includes('continuationToken');
      let query = {limit: 1};
      do {
        const {namespaces, continuationToken} = await pulse.listNamespaces(query);
        assert.ok(namespaces.length <= 1, `a page of ${namespaces.length} with limit 1`);
        pages.push(namespaces.map(entry => entry.namespace));
        query = continuationToken ? {limit: 1, continuationToken} : undefined;
      } while (query && knowsToken);
      const seen = knowsToken ? pages.flat() : (await pulse.listNamespaces()).namespaces.map(entry => entry.namespace);
      assert.ok(seen.includes(one) && seen.includes(two), `missing in the list: ${seen.join(' ')}`);
      assert.equal(new Set(seen).size, seen.length, `listed twice: ${seen.join(' ')}`);
    },
    'signed URLs fetched with plain HTTP': async () => {
      const url = pulse.buildSignedUrl(pulse.namespace, one);
      assert.match(url, /[?&]bewit=/);
      assert.equal((await fetchJson(url)).namespace, one);
      const listed = await fetchJson(pulse.buildSignedUrl(pulse.listNamespaces, {limit: 1}));
      assert.equal(listed.namespaces.length, 1);
      const lent = connect(temporary([scopeOf(one)]));
      assert.equal((await fetchJson(lent.buildSignedUrl(lent.namespace, one))).namespace, one);
    },
    'temporary credentials, limited to their scopes': async () => {
      const lent = connect(temporary([scopeOf(one)]));
      assert.deepEqual(await lent.claimNamespace(one, wish), claim);
      await refused(403, 'InsufficientScopes', lent.claimNamespace(two, {}));
    },
    'named temporary credentials': async () => {
      const credentials = temporary([scopeOf(one)], {clientId: `${CLIENT_ID}/${prefix}`});
      assert.equal(credentials.clientId, `${CLIENT_ID}/${prefix}`);
      assert.deepEqual(await connect(credentials).claimNamespace(one, wish), claim);
      const foreign = temporary([scopeOf(one)], {clientId: `not-ours/${prefix}`});
      await refused(401, 'AuthenticationFailed', connect(foreign).claimNamespace(one, wish));
    },
    'authorizedScopes, permanent and temporary': async () => {
      const authorizedScopes = [scopeOf(one)];
      for (const credentials of [permanent, temporary([scopeOf(`${prefix}-*`)])]) {
        const narrow = connect(credentials, {authorizedScopes});
        assert.deepEqual(await narrow.claimNamespace(one, wish), claim);
        await refused(403, 'InsufficientScopes', narrow.claimNamespace(two, {}));
      }
      const wide = connect(permanent, {authorizedScopes: ['pulse:namespace:*']});
      await refused(401, 'AuthenticationFailed', wide.claimNamespace(one, wish));
    },
    'refusals: 403, 401, 400, 404': async () => {
      await refused(403, 'InsufficientScopes', connect({}).claimNamespace(one, wish));
      const wrong = connect({clientId: CLIENT_ID, accessToken: 'this-is-not-the-right-token-at-all'});
      await refused(401, 'AuthenticationFailed', wrong.claimNamespace(one, wish));
      const expired = temporary([scopeOf(one)], {
        start: new Date(Date.now() - 2 * HOUR_MS), expiry: new Date(Date.now() - HOUR_MS)});
      await refused(401, 'AuthenticationFailed', connect(expired).claimNamespace(one, wish));
      await refused(400, 'InputValidationError', pulse.claimNamespace(one, {expires: 'soon'}));
      await refused(400, 'InputValidationError', pulse.claimNamespace(one, {unknown: true}));
      await refused(404, 'ResourceNotFound', pulse.namespace(NEVER_CLAIMED));
    },
  };
}

async function main() {
  const taskcluster = await loadPackage();
  const tell = async (title, story) => {
    try {
      const result = await story();
      console.log(`ok ${alias} ${title}`);
      return result;
    } catch (error) {
      error.message = `${alias} ${title}: ${error.message}`;
      throw error;
    }
  };

  const reference = await tell('reference documents', loadReference);
  const baseUrlEra = alias === 'tc3';
  const classes = {reference: taskcluster.createClient(reference, 'Pulse')};
  if (taskcluster.Pulse) {
    classes.own = taskcluster.Pulse;
  }
  for (const [origin, Class] of Object.entries(classes)) {
    const told = stories(taskcluster, {Class, baseUrlEra}, `taskcluster-${alias}-${origin}`);
    for (const [title, story] of Object.entries(told)) {
      await tell(`${origin}: ${title}`, story);
    }
  }
}

main().catch(error => {
  console.error(`FAILED ${error.stack}${error.cause ? `\n${error.cause}` : ''}`);
  process.exit(1);
});
