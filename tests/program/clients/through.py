"""Uses a running Keylender through its task proxy by one published Python client, unmodified and without credentials, as
code in a task does: target/clients/ALIAS/bin/python through.py

  KEYLENDER_URL          the appliance, for its reference documents
  TASKCLUSTER_PROXY_URL  a proxy to it, limited to pulse:namespace:taskcluster-<ALIAS>-through
"""

import os
import sys

import requests
import taskcluster
from taskcluster.client import createApiClient

ALIAS = os.path.basename(sys.prefix)


def main():
    reference = requests.get(os.environ["KEYLENDER_URL"] + "/references/pulse/v1/api.json").json()
    pulse_class = createApiClient("pulse", {"reference": reference})
    pulse = pulse_class({"rootUrl": os.environ["TASKCLUSTER_PROXY_URL"], "maxRetries": 0})
    if pulse.ping()["alive"] is not True:
        raise AssertionError("it is not alive")
    own = "taskcluster-%s-through" % ALIAS
    if pulse.claimNamespace(own, {})["namespace"] != own or pulse.namespace(own)["namespace"] != own:
        raise AssertionError("another namespace was claimed")
    try:
        pulse.claimNamespace("taskcluster-%s-other" % ALIAS, {})
    except taskcluster.TaskclusterRestFailure as error:
        if error.body["code"] == "InsufficientScopes":
            return
        raise
    raise AssertionError("the proxy gave more than its scopes")


main()
print("ok")
