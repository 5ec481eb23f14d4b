"""Uses a running Keylender through one published Python client, unmodified: target/clients/ALIAS/bin/python run.py

ALIAS is one of the PyPI lines of tests/program/clients/packages; scripts/client-packages has made its virtual environment.
The environment says which server:
  KEYLENDER_URL            such as http://127.0.0.1:8080, without a slash at the end
  CLIENT_ID, ACCESS_TOKEN  a permanent client of it that has, for this ALIAS, at least the scopes
                           pulse:namespace:taskcluster-<ALIAS>-*  and  auth:create-client:<CLIENT_ID>/*
                           but neither `*` nor pulse:namespace:*
The server has the default NAMESPACE_PREFIX and a broker that works. Nothing else is assumed: other namespaces may
exist, other runners may be at work. Leaves two or four namespaces behind, which expire within the hour.

Every story is told twice where the package has a Pulse class of its own: with that, and with the class that the package
makes from our reference document. Prints one line per story; the first failure ends the run with status 1.
"""

import base64
import datetime
import os
import re
import sys
from urllib.parse import urljoin

# Python 3.9 took this name away, and taskcluster 5 and 6 call it as soon as they have credentials.
if not hasattr(base64, "encodestring"):
    base64.encodestring = base64.encodebytes

# The older packages take their defaults from these, at import.
for name in [name for name in os.environ if name.startswith("TASKCLUSTER_")]:
    del os.environ[name]

import requests  # noqa: E402
import taskcluster  # noqa: E402
from taskcluster.client import createApiClient, createTemporaryCredentials  # noqa: E402

NEVER_CLAIMED = "taskcluster-nobody-claims-this"
ALIAS = os.path.basename(sys.prefix)


def require(truth, otherwise):
    """An assertion that `python -O` keeps, with a message."""
    if not truth:
        raise AssertionError(otherwise)


def require_equal(left, right):
    require(left == right, "%r is not %r" % (left, right))


def fetch_json(url):
    response = requests.get(url)
    require(response.status_code == 200, "GET %s answers %d" % (url, response.status_code))
    content_type = response.headers.get("content-type", "")
    require(content_type.startswith("application/json"), "GET %s is %s" % (url, content_type))
    return response.json()


def load_reference(url):
    """The manifest has had two shapes that are still around: references, and services with apis."""
    manifest = fetch_json(url + "/references/manifest.json")
    listed = manifest.get("references")
    if listed is None:
        listed = [api["reference"] for service in manifest["services"] for api in service["apis"]]
    location = url + "/references/pulse/v1/api.json"
    require(location in [urljoin(url, one) for one in listed], "the manifest does not list %s: %s" % (location, listed))

    reference = fetch_json(location)
    names = sorted(entry["name"] for entry in reference["entries"])
    require_equal(names, ["claimNamespace", "listNamespaces", "namespace", "ping"])
    for entry in reference["entries"]:
        for schema in filter(None, [entry.get("input"), entry.get("output")]):
            document = fetch_json("%s/schemas/pulse/%s" % (url, schema.rstrip("#")))
            require(document["type"] == "object", "schema %s describes no object" % schema)
    request = fetch_json(url + "/schemas/pulse/v1/namespace-request.json")
    require_equal(sorted(request["properties"]), ["contact", "expires"])
    return reference


def refused(status, code, call, *args, **kwargs):
    """What the error of a refused call looks like to every client since 2018."""
    try:
        call(*args, **kwargs)
    except (taskcluster.TaskclusterRestFailure, taskcluster.TaskclusterAuthFailure) as error:
        require(error.status_code == status, "status %s: %s" % (error.status_code, error))
        require_equal(error.body["code"], code)
        require(code in str(error), "the message does not name %s: %s" % (code, error))
        is_auth_failure = isinstance(error, taskcluster.TaskclusterAuthFailure)
        require(is_auth_failure == (status == 401), "%s for a %d" % (type(error).__name__, status))
        return
    raise AssertionError("the call succeeded, %d %s was expected" % (status, code))


def in_milliseconds(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (moment.microsecond // 1000)


class Stories:
    """The methods whose names start with `story_`, told in the order in which they stand here."""

    def __init__(self, pulse_class, url, client_id, access_token, prefix):
        self.pulse_class = pulse_class
        self.url = url
        self.client_id, self.access_token = client_id, access_token
        self.prefix = prefix
        self.one, self.two = prefix + "-one", prefix + "-two"
        self.pulse = self.connect(self.permanent())
        self.expires = taskcluster.fromNow("1 hour")
        self.wish = {"expires": self.expires, "contact": "someone@example.com"}
        self.claim = None

    def permanent(self):
        return {"clientId": self.client_id, "accessToken": self.access_token}

    def temporary(self, scopes, start="0 seconds", expiry="1 hour", name=None):
        return createTemporaryCredentials(
            self.client_id, self.access_token, taskcluster.fromNow(start), taskcluster.fromNow(expiry), scopes, name=name
        )

    def connect(self, credentials, **more):
        # A retry would only hide what went wrong. The client changes the credentials it is given, so it gets a copy.
        options = {"rootUrl": self.url, "credentials": dict(credentials), "maxRetries": 0}
        options.update(more)
        return self.pulse_class(options)

    def scope_of(self, namespace):
        return "pulse:namespace:" + namespace

    def story_ping_with_credentials_and_without(self):
        require_equal(self.pulse.ping()["alive"], True)
        require_equal(self.connect({}).ping()["alive"], True)

    def story_claim_with_expires_and_contact(self):
        self.claim = claim = self.pulse.claimNamespace(self.one, self.wish)
        require_equal(list(claim), ["namespace", "created", "expires", "connectionString", "reclaimAt"])
        require_equal(claim["namespace"], self.one)
        require_equal(claim["expires"], in_milliseconds(self.expires))  # the client sent microseconds
        now = in_milliseconds(datetime.datetime.now(datetime.timezone.utc))
        require(claim["reclaimAt"] > now, "reclaimAt %s has passed" % claim["reclaimAt"])
        found = re.match(r"^amqps?://([^:@/]+):[^:@/]+@[^@/]+:\d+/[^/]+$", claim["connectionString"])
        require(found and self.one in found.group(1), "the connection string is not of this namespace")

    def story_same_claim_again_gives_identical_document(self):
        require_equal(self.pulse.claimNamespace(self.one, self.wish), self.claim)

    def story_claim_with_an_empty_wish(self):
        require_equal(self.pulse.claimNamespace(self.two, {})["namespace"], self.two)

    def story_namespace(self):
        expected = {key: self.claim[key] for key in ("namespace", "created", "expires")}
        require_equal(self.pulse.namespace(self.one), expected)

    def story_list_page_by_page(self):
        pages = []
        self.pulse.listNamespaces(paginationHandler=pages.append, paginationLimit=1)
        require(all(len(page["namespaces"]) <= 1 for page in pages), "a page longer than its limit of 1")
        seen = [entry["namespace"] for page in pages for entry in page["namespaces"]]
        require(self.one in seen and self.two in seen, "missing in the list: %s" % seen)
        require(len(set(seen)) == len(seen), "listed twice: %s" % seen)
        everything = [entry["namespace"] for entry in self.pulse.listNamespaces()["namespaces"]]
        require(self.one in everything and self.two in everything, "missing in the list: %s" % everything)

    def story_signed_urls_fetched_with_plain_http(self):
        url = self.pulse.buildSignedUrl("namespace", self.one)
        require("bewit=" in url, "not signed: %s" % url)
        require_equal(fetch_json(url)["namespace"], self.one)
        listed = fetch_json(self.pulse.buildSignedUrl("listNamespaces", query={"limit": 1}))
        require_equal(len(listed["namespaces"]), 1)
        lent = self.connect(self.temporary([self.scope_of(self.one)]))
        require_equal(fetch_json(lent.buildSignedUrl("namespace", self.one))["namespace"], self.one)

    def story_temporary_credentials_limited_to_their_scopes(self):
        lent = self.connect(self.temporary([self.scope_of(self.one)]))
        require_equal(lent.claimNamespace(self.one, self.wish), self.claim)
        refused(403, "InsufficientScopes", lent.claimNamespace, self.two, {})

    def story_named_temporary_credentials(self):
        name = "%s/%s" % (self.client_id, self.prefix)
        credentials = self.temporary([self.scope_of(self.one)], name=name)
        require_equal(credentials["clientId"], name)
        require_equal(self.connect(credentials).claimNamespace(self.one, self.wish), self.claim)
        foreign = self.connect(self.temporary([self.scope_of(self.one)], name="not-ours/" + self.prefix))
        refused(401, "AuthenticationFailed", foreign.claimNamespace, self.one, self.wish)

    def story_authorized_scopes_permanent_and_temporary(self):
        for credentials in (self.permanent(), self.temporary([self.scope_of(self.prefix + "-*")])):
            narrow = self.connect(credentials, authorizedScopes=[self.scope_of(self.one)])
            require_equal(narrow.claimNamespace(self.one, self.wish), self.claim)
            refused(403, "InsufficientScopes", narrow.claimNamespace, self.two, {})
        wide = self.connect(self.permanent(), authorizedScopes=["pulse:namespace:*"])
        refused(401, "AuthenticationFailed", wide.claimNamespace, self.one, self.wish)

    def story_refusals_403_401_400_404(self):
        refused(403, "InsufficientScopes", self.connect({}).claimNamespace, self.one, self.wish)
        wrong = self.connect({"clientId": self.client_id, "accessToken": "this-is-not-the-right-token-at-all"})
        refused(401, "AuthenticationFailed", wrong.claimNamespace, self.one, self.wish)
        expired = self.connect(self.temporary([self.scope_of(self.one)], start="-2 hours", expiry="-1 hour"))
        refused(401, "AuthenticationFailed", expired.claimNamespace, self.one, self.wish)
        refused(400, "InputValidationError", self.pulse.claimNamespace, self.one, {"expires": "soon"})
        refused(400, "InputValidationError", self.pulse.claimNamespace, self.one, {"unknown": True})
        refused(404, "ResourceNotFound", self.pulse.namespace, NEVER_CLAIMED)


def tell(title, story, *args):
    try:
        result = story(*args)
    except Exception as error:
        error.args = ("%s %s: %s" % (ALIAS, title, error),)
        raise
    print("ok %s %s" % (ALIAS, title), flush=True)
    return result


def main():
    try:
        url, client_id, access_token = (os.environ[key] for key in ("KEYLENDER_URL", "CLIENT_ID", "ACCESS_TOKEN"))
    except KeyError as missing:
        sys.exit("usage: KEYLENDER_URL=… CLIENT_ID=… ACCESS_TOKEN=… target/clients/ALIAS/bin/python run.py; no %s" % missing)
    reference = tell("reference documents", load_reference, url)
    classes = {"reference": createApiClient("Pulse", {"reference": reference})}
    if hasattr(taskcluster, "Pulse"):
        classes["own"] = taskcluster.Pulse
    for origin, pulse_class in classes.items():
        told = Stories(pulse_class, url, client_id, access_token, "taskcluster-%s-%s" % (ALIAS, origin))
        for name in [name for name in vars(Stories) if name.startswith("story_")]:
            tell("%s: %s" % (origin, name[len("story_"):].replace("_", " ")), getattr(told, name))


if __name__ == "__main__":
    main()
