"""Specs of a Workspace and what becomes of them: one that passes and one that does not for every rule and bound.

Used against the API server's schema and against the standalone reader, which have to agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

LABEL_63 = "a" * 63
ACCOUNT = {"kind": "ServiceAccount", "name": "ci", "namespace": "tools"}


@dataclass(frozen=True)
class Case:
    """A spec, the rule it tries, and where and with which words it is refused (no words: accepted)."""

    rule: str
    spec: Spec
    at: str = ""
    says: str = ""

    @property
    def accepted(self) -> bool:
        return not self.says


def base_id(number: int) -> str:
    """A base id of its own for every number."""
    return f"app{number:014d}"


def base(number: int = 0, **fields: Any) -> Spec:
    return {"name": f"base-{number}", "baseId": base_id(number), **fields}


def bases(count: int) -> list[Spec]:
    """So many bases, of which the first is the default."""
    return [base(number, default=number == 0) for number in range(count)]


def airtable(**fields: Any) -> Spec:
    return {"airtable": fields}


def llm(**fields: Any) -> Spec:
    return {"llm": fields}


def namespace(**fields: Any) -> Spec:
    return {"namespace": fields}


def key(**fields: Any) -> Spec:
    return {"accessKey": fields}


def owners(*found: Spec) -> Spec:
    return {"owners": list(found)}


def users(count: int) -> Spec:
    return owners(*({"kind": "User", "name": f"user-{number}"} for number in range(count)))


ACCEPTED = [
    Case("nothing is required", {}),
    Case("displayName up to 100", {"displayName": "é" * 100}),
    Case("owners up to 100", users(100)),
    Case("owner name up to 253", owners({"kind": "User", "name": "u" * 253})),
    Case("owner group", owners({"kind": "Group", "name": "oidc:team a"})),
    Case("owner account with namespace", owners(ACCOUNT)),
    Case("owner namespace up to 63", owners({**ACCOUNT, "namespace": LABEL_63})),
    Case("owner user with empty namespace", owners({"kind": "User", "name": "ada", "namespace": ""})),
    Case("owners of one name and other kinds", owners({"kind": "User", "name": "a"}, {"kind": "Group", "name": "a"})),
    Case("accounts of one name elsewhere", owners(ACCOUNT, {**ACCOUNT, "namespace": "other"})),
    Case("secret name up to 63", airtable(tokenSecretRef={"name": LABEL_63})),
    Case("secret key up to 253", airtable(tokenSecretRef={"name": "s", "key": "k" * 253})),
    Case("secret key with dot, dash, underscore", airtable(tokenSecretRef={"name": "s", "key": ".A-b_c.1"})),
    Case("budget zero", airtable(monthlyCallBudget=0)),
    Case("budget up to 2^31-1", airtable(monthlyCallBudget=2**31 - 1)),
    Case("no bases", airtable(bases=[])),
    Case("one base needs no default", airtable(bases=[base()])),
    Case("one base may be default", airtable(bases=[base(default=True)])),
    Case("100 bases with one default", airtable(bases=bases(100))),
    Case("base name up to 63", airtable(bases=[base(name=LABEL_63)])),
    *(
        Case(f"access {access}", airtable(bases=[base(access=access)]))
        for access in ("ReadOnly", "ReadWrite", "Schema")
    ),
    Case("500 tables", airtable(bases=[base(tables=[f"t{number}" for number in range(500)])])),
    Case("table name up to 255", airtable(bases=[base(tables=["t" * 255])])),
    Case("tenantBases up to 100", airtable(tenantBases=[base_id(number) for number in range(100)])),
    Case("model up to 100", llm(model="m" * 100)),
    Case("model key", llm(apiKeySecretRef={"name": "acme-gemini", "key": "key"})),
    *(Case(f"cost {cost!r}", llm(monthlyCostLimit=cost)) for cost in ("", "0", "25.00", "999999999.999999")),
    *(Case(f"approval {word}", llm(approval=word)) for word in ("Never", "Destructive", "Writes")),
    Case("namespace name up to 63", namespace(name=LABEL_63)),
    Case("namespace name that only begins like default", namespace(name="defaults")),
    *(
        Case(f"quota of {name}", namespace(quota={name: "1"}))
        for name in (
            *("cpu", "memory", "ephemeral-storage", "pods", "services", "services.nodeports", "services.loadbalancers"),
            *("secrets", "configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas"),
            *("requests.cpu", "requests.nvidia.com/gpu", "limits.memory", "count/jobs.batch"),
            *("fast.storageclass.storage.k8s.io/requests.storage",),
            *("fast.storageclass.storage.k8s.io/persistentvolumeclaims",),
        )
    ),
    Case("50 quotas", namespace(quota={f"count/kind{number}.example": "1" for number in range(50)})),
    *(
        Case(f"quantity {value}", namespace(quota={"cpu": value}))
        for value in ("0", "20", "0.5", "500m", "4Gi", "1k", "2E", "3Pi", "1" * 32)
    ),
    Case("null of a quota is absent", namespace(quota={"pods": None, "nonsense": None})),
    Case("limits", namespace(limits={"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"})),
    *(Case(f"networkPolicy {word}", namespace(networkPolicy=word)) for word in ("Strict", "Off")),
    *(Case(f"podSecurity {word}", namespace(podSecurity=word)) for word in ("restricted", "baseline", "privileged")),
    Case("rotation never", key(rotateAfterSeconds=0)),
    Case("rotation up to ten years", key(rotateAfterSeconds=315_360_000)),
    Case("rotation as long as the overlap", key(rotateAfterSeconds=60, overlapSeconds=60)),
    Case("overlap none", key(overlapSeconds=0)),
    Case("overlap up to a week", key(overlapSeconds=604_800)),
    Case("suspended", {"suspend": True}),
    *(Case(f"deletionPolicy {word}", {"deletionPolicy": word}) for word in ("Retain", "Delete")),
    Case("null is absent", {"displayName": None, "owners": None, "llm": {"apiKeySecretRef": None}, "suspend": None}),
    Case("null of a part is absent", {"airtable": None, "llm": None, "namespace": None, "accessKey": None}),
    Case("null of a field with default is absent", airtable(bases=[base(access=None, default=None, tables=None)])),
]

_LONG = "Too long"
_MANY = "must have at most"
_TYPE = "Invalid value"
_WORDS = "Unsupported value"
_NEEDED = "Required value"
_TWICE = "Duplicate value"
_RANGE = "should be"
_UNKNOWN = "unknown field"

REFUSED = [
    Case("unknown field", {"displayname": "x"}, "spec.displayname", _UNKNOWN),
    Case("unknown field below", llm(temperature=1), "spec.llm.temperature", _UNKNOWN),
    Case("unknown field that is null", {"displayname": None}, "spec.displayname", _UNKNOWN),
    Case("displayName over 100", {"displayName": "x" * 101}, "spec.displayName", _LONG),
    Case("displayName a number", {"displayName": 7}, "spec.displayName", _TYPE),
    Case("owners over 100", users(101), "spec.owners", _MANY),
    Case("owner twice", owners(ACCOUNT, ACCOUNT), "spec.owners", "an owner stands there twice"),
    Case(
        "owner user twice", owners(*[{"kind": "User", "name": "a"}] * 2), "spec.owners", "an owner stands there twice"
    ),
    Case("owner of no kind", owners({"name": "a"}), "spec.owners[0].kind", _NEEDED),
    Case("owner without name", owners({"kind": "User"}), "spec.owners[0].name", _NEEDED),
    Case("owner whose name is null", owners({"kind": "User", "name": None}), "spec.owners[0].name", _NEEDED),
    Case("owner kind", owners({"kind": "Robot", "name": "a"}), "spec.owners[0].kind", _WORDS),
    Case("owner empty name", owners({"kind": "User", "name": ""}), "spec.owners[0].name", _RANGE),
    Case("owner name over 253", owners({"kind": "User", "name": "u" * 254}), "spec.owners[0].name", _LONG),
    Case(
        "owner account without namespace",
        owners({"kind": "ServiceAccount", "name": "ci"}),
        "spec.owners[0].namespace",
        "an owner of kind ServiceAccount needs namespace: where the account lives",
    ),
    Case(
        "owner user with namespace",
        owners({**ACCOUNT, "kind": "User"}),
        "spec.owners[0].namespace",
        "namespace belongs only to an owner of kind ServiceAccount; remove it",
    ),
    Case(
        "owner namespace's name",
        owners({**ACCOUNT, "namespace": "Tools"}),
        "spec.owners[0].namespace",
        "must be the name of a namespace",
    ),
    Case("owner namespace over 63", owners({**ACCOUNT, "namespace": "a" * 64}), "spec.owners[0].namespace", _LONG),
    Case("secret without name", airtable(tokenSecretRef={"key": "k"}), "spec.airtable.tokenSecretRef.name", _NEEDED),
    Case(
        "secret name with a way out",
        airtable(tokenSecretRef={"name": "../other"}),
        "spec.airtable.tokenSecretRef.name",
        "must be the name of a Secret",
    ),
    Case(
        "secret name with a new line",
        airtable(tokenSecretRef={"name": "other\n"}),
        "spec.airtable.tokenSecretRef.name",
        "must be the name of a Secret",
    ),
    Case(
        "secret name over 63", airtable(tokenSecretRef={"name": "a" * 64}), "spec.airtable.tokenSecretRef.name", _LONG
    ),
    Case("secret empty name", airtable(tokenSecretRef={"name": ""}), "spec.airtable.tokenSecretRef.name", _RANGE),
    Case(
        "secret namespace",
        airtable(tokenSecretRef={"name": "a", "namespace": "kube-system"}),
        "spec.airtable.tokenSecretRef.namespace",
        _UNKNOWN,
    ),
    *(
        Case(
            f"secret key {word!r}",
            airtable(tokenSecretRef={"name": "a", "key": word}),
            "spec.airtable.tokenSecretRef.key",
            "must be a key of a Secret",
        )
        for word in (".", "..", "..a", "a/b", "ä", "a\n")
    ),
    Case(
        "secret empty key",
        airtable(tokenSecretRef={"name": "a", "key": ""}),
        "spec.airtable.tokenSecretRef.key",
        _RANGE,
    ),
    Case(
        "secret key over 253",
        airtable(tokenSecretRef={"name": "a", "key": "k" * 254}),
        "spec.airtable.tokenSecretRef.key",
        _LONG,
    ),
    Case("budget below zero", airtable(monthlyCallBudget=-1), "spec.airtable.monthlyCallBudget", _RANGE),
    Case("budget over 2^31-1", airtable(monthlyCallBudget=2**31), "spec.airtable.monthlyCallBudget", _RANGE),
    Case("budget as text", airtable(monthlyCallBudget="5"), "spec.airtable.monthlyCallBudget", _TYPE),
    Case("budget with a fraction", airtable(monthlyCallBudget=1.5), "spec.airtable.monthlyCallBudget", _TYPE),
    Case("bases over 100", airtable(bases=bases(101)), "spec.airtable.bases", _MANY),
    Case("base null", airtable(bases=[None]), "spec.airtable.bases[0]", _TYPE),
    Case("base without name", airtable(bases=[{"baseId": base_id(1)}]), "spec.airtable.bases[0].name", _NEEDED),
    Case("base without id", airtable(bases=[{"name": "crm"}]), "spec.airtable.bases[0].baseId", _NEEDED),
    Case("base name twice", airtable(bases=[base(default=True), {**base(1), "name": "base-0"}]), "[1]", _TWICE),
    Case(
        "base id twice",
        airtable(bases=[base(default=True), {**base(), "name": "two"}]),
        "spec.airtable.bases",
        "a baseId stands there twice; declare each base once",
    ),
    Case(
        "two bases without default",
        airtable(bases=[base(0), base(1)]),
        "spec.airtable.bases",
        "exactly one must have default: true",
    ),
    Case(
        "two bases with two defaults",
        airtable(bases=[base(0, default=True), base(1, default=True)]),
        "spec.airtable.bases",
        "exactly one must have default: true",
    ),
    *(
        Case(
            f"base name {name!r}",
            airtable(bases=[base(name=name)]),
            "spec.airtable.bases[0].name",
            "becomes the name of a BaseBinding",
        )
        for name in ("CRM", "a.b", "-a", "a-", "a\n")
    ),
    Case("base name over 63", airtable(bases=[base(name="a" * 64)]), "spec.airtable.bases[0].name", _LONG),
    *(
        Case(
            f"base id {text!r}",
            airtable(bases=[base(baseId=text)]),
            "spec.airtable.bases[0].baseId",
            "must be Airtable's id of the base",
        )
        for text in ("tbl" + "A" * 14, "app" + "A" * 13, "app" + "-" * 14, "app" + "A" * 13 + "\n")
    ),
    Case("base id over 17", airtable(bases=[base(baseId="app" + "A" * 15)]), "spec.airtable.bases[0].baseId", _LONG),
    Case("access", airtable(bases=[base(access="Everything")]), "spec.airtable.bases[0].access", _WORDS),
    Case("default as text", airtable(bases=[base(default="yes")]), "spec.airtable.bases[0].default", _TYPE),
    Case(
        "501 tables",
        airtable(bases=[base(tables=[f"t{n}" for n in range(501)])]),
        "spec.airtable.bases[0].tables",
        _MANY,
    ),
    Case("table twice", airtable(bases=[base(tables=["a", "a"])]), "spec.airtable.bases[0].tables[1]", _TWICE),
    Case("table empty", airtable(bases=[base(tables=[""])]), "spec.airtable.bases[0].tables[0]", _RANGE),
    Case("table over 255", airtable(bases=[base(tables=["t" * 256])]), "spec.airtable.bases[0].tables[0]", _LONG),
    Case(
        "tenantBases over 100",
        airtable(tenantBases=[base_id(n) for n in range(101)]),
        "spec.airtable.tenantBases",
        _MANY,
    ),
    Case("tenantBases twice", airtable(tenantBases=[base_id(1)] * 2), "spec.airtable.tenantBases[1]", _TWICE),
    Case(
        "tenantBases id",
        airtable(tenantBases=["crm"]),
        "spec.airtable.tenantBases[0]",
        "must be Airtable's id of the base",
    ),
    Case("tenantBases over 17", airtable(tenantBases=["a" * 18]), "spec.airtable.tenantBases[0]", _LONG),
    Case("model over 100", llm(model="m" * 101), "spec.llm.model", _LONG),
    Case("model key without name", llm(apiKeySecretRef={}), "spec.llm.apiKeySecretRef.name", _NEEDED),
    Case(
        "model key name",
        llm(apiKeySecretRef={"name": "A"}),
        "spec.llm.apiKeySecretRef.name",
        "must be the name of a Secret",
    ),
    *(
        Case(
            f"cost {text!r}",
            llm(monthlyCostLimit=text),
            "spec.llm.monthlyCostLimit",
            "must be US dollars as a decimal in quotes",
        )
        for text in ("a lot", "-1", "1,50", "1.", ".5", "1.1234567", "1234567890", "٣", "1\n")
    ),
    Case("cost over 16", llm(monthlyCostLimit="1" * 17), "spec.llm.monthlyCostLimit", _LONG),
    Case("cost as a number", llm(monthlyCostLimit=25), "spec.llm.monthlyCostLimit", _TYPE),
    Case("approval", llm(approval="Sometimes"), "spec.llm.approval", _WORDS),
    *(
        Case(f"namespace {name}", namespace(name=name), "spec.namespace.name", "belong to the cluster and the platform")
        for name in ("default", "kube-system", "kube-x", "pyairtable-system", "pyairtable-credentials")
    ),
    *(
        Case(f"namespace name {name!r}", namespace(name=name), "spec.namespace.name", "must be the name of a namespace")
        for name in ("Acme", "a.b", "-a", "a\n", "a/../kube-system")
    ),
    Case("namespace name empty", namespace(name=""), "spec.namespace.name", _RANGE),
    Case("namespace name over 63", namespace(name="a" * 64), "spec.namespace.name", _LONG),
    *(
        Case(
            f"quota of {name}",
            namespace(quota={name: "1"}),
            "spec.namespace.quota",
            "a name that a ResourceQuota does not know",
        )
        for name in ("request.cpu", "pod", "CPU", "fast.storageclass.storage.k8s.io/other")
    ),
    Case(
        "51 quotas",
        namespace(quota={f"count/k{n}.example": "1" for n in range(51)}),
        "spec.namespace.quota",
        "at most 50",
    ),
    *(
        Case(
            f"quantity {text!r}",
            namespace(quota={"cpu": text}),
            "spec.namespace.quota[cpu]",
            "must be a quantity in quotes",
        )
        for text in ("", "-1", "two", "4gi", "1 Gi", "1e3", ".5", "1\n", "٣")
    ),
    Case("quantity over 32", namespace(quota={"cpu": "1" * 33}), "spec.namespace.quota.cpu", _LONG),
    Case("quantity as a number", namespace(quota={"pods": 20}), "spec.namespace.quota.pods", _TYPE),
    Case(
        "limits of pods",
        namespace(limits={"pods": "2"}),
        "spec.namespace.limits",
        "only cpu, memory and ephemeral-storage",
    ),
    Case("limits of four", namespace(limits=dict.fromkeys("abcd", "1")), "spec.namespace.limits", "at most 3"),
    Case(
        "limits quantity",
        namespace(limits={"cpu": "much"}),
        "spec.namespace.limits[cpu]",
        "must be a quantity in quotes",
    ),
    Case("networkPolicy", namespace(networkPolicy="Loose"), "spec.namespace.networkPolicy", _WORDS),
    Case("networkPolicy off without quotes", namespace(networkPolicy=False), "spec.namespace.networkPolicy", _TYPE),
    Case("podSecurity", namespace(podSecurity="none"), "spec.namespace.podSecurity", _WORDS),
    Case("rotation below zero", key(rotateAfterSeconds=-1), "spec.accessKey.rotateAfterSeconds", _RANGE),
    Case("rotation over ten years", key(rotateAfterSeconds=315_360_001), "spec.accessKey.rotateAfterSeconds", _RANGE),
    Case("rotation with a fraction", key(rotateAfterSeconds=0.5), "spec.accessKey.rotateAfterSeconds", _TYPE),
    Case("overlap below zero", key(overlapSeconds=-1), "spec.accessKey.overlapSeconds", _RANGE),
    Case("overlap over a week", key(overlapSeconds=604_801), "spec.accessKey.overlapSeconds", _RANGE),
    Case(
        "overlap longer than the rotation",
        key(rotateAfterSeconds=59, overlapSeconds=60),
        "spec.accessKey",
        "lengthen rotateAfterSeconds",
    ),
    Case("overlap by default longer", key(rotateAfterSeconds=3600), "spec.accessKey", "shorten overlapSeconds"),
    Case("suspend as text", {"suspend": "true"}, "spec.suspend", _TYPE),
    Case("suspend as number", {"suspend": 1}, "spec.suspend", _TYPE),
    Case("deletionPolicy", {"deletionPolicy": "Burn"}, "spec.deletionPolicy", _WORDS),
    Case("part as text", {"airtable": "crm"}, "spec.airtable", _TYPE),
    Case("list as text", airtable(tenantBases="app"), "spec.airtable.tenantBases", _TYPE),
]

NAMES_ACCEPTED = ("a", "acme", "9-lives", "a" * 60)
NAMES_REFUSED = ("a" * 61, "a.b", "Acme", "-a", "a-", "a b", "")


def workspace(name: str = "try", spec: Spec | None = None, **metadata: Any) -> dict[str, Any]:
    """A document."""
    document = {"apiVersion": "pyairtable.dev/v1alpha1", "kind": "Workspace", "metadata": {"name": name, **metadata}}
    return document if spec is None else {**document, "spec": spec}
