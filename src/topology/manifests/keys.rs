//! The keys of Kubernetes' objects, as its API has them in version 1.34: which nslab reads, which do not matter to who
//! reaches whom, and which nslab cannot have. Source: `types.go` of the groups in k8s.io/api.

use super::fields::{Keys, Matter};

/// What nslab does not have, and would change who reaches whom.
const fn fault(key: &'static str, harmless: &'static [&'static str], why: &'static str) -> Matter {
    Matter { key, harmless, why, is_warning: false }
}

/// The same where the lab is the manifest's all the same, but for that.
const fn warning(key: &'static str, harmless: &'static [&'static str], why: &'static str) -> Matter {
    Matter { key, harmless, why, is_warning: true }
}

const BY_NAME: &str = "pods are placed on the nodes by their names (or `nodeName`, `nodeSelector`)";

pub const OBJECT: Keys = Keys { read: &["apiVersion", "kind", "metadata", "spec"], idle: &["status"], matter: &[] };

pub const SLICE: Keys =
    Keys { read: &["apiVersion", "kind", "metadata", "addressType", "endpoints", "ports"], idle: &[], matter: &[] };

pub const ENDPOINTS: Keys = Keys { read: &["apiVersion", "kind", "metadata", "subsets"], idle: &[], matter: &[] };

pub const METADATA: Keys = Keys {
    read: &["name", "namespace", "labels", "ownerReferences"],
    idle: &[
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    ],
    matter: &[],
};

pub const NAMESPACE: Keys = Keys { read: &[], idle: &["finalizers"], matter: &[] };

/// Of Deployment, ReplicaSet, ReplicationController, StatefulSet and DaemonSet.
pub const WORKLOAD: Keys = Keys {
    read: &["replicas", "selector", "serviceName", "template", "ordinals"],
    idle: &[
        "minReadySeconds",
        "paused",
        "persistentVolumeClaimRetentionPolicy",
        "podManagementPolicy",
        "progressDeadlineSeconds",
        "revisionHistoryLimit",
        "strategy",
        "updateStrategy",
        "volumeClaimTemplates",
    ],
    matter: &[],
};

pub const TEMPLATE: Keys = Keys { read: &["metadata", "spec"], idle: &[], matter: &[] };

pub const POD: Keys = Keys {
    read: &[
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "hostname",
        "initContainers",
        "nodeName",
        "nodeSelector",
        "subdomain",
    ],
    idle: &[
        "activeDeadlineSeconds",
        "automountServiceAccountToken",
        "enableServiceLinks",
        "ephemeralContainers",
        "hostAliases",
        "hostIPC",
        "hostPID",
        "hostUsers",
        "hostnameOverride",
        "imagePullSecrets",
        "os",
        "overhead",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "readinessGates",
        "resourceClaims",
        "resources",
        "restartPolicy",
        "runtimeClassName",
        "schedulerName",
        "securityContext",
        "serviceAccount",
        "serviceAccountName",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "terminationGracePeriodSeconds",
        "tolerations",
        "volumes",
        "workloadRef",
    ],
    matter: &[
        fault("hostNetwork", &["false"], "nslab gives every pod a network of its own"),
        warning("affinity", &[], BY_NAME),
        warning("schedulingGates", &[], BY_NAME),
        warning("topologySpreadConstraints", &[], BY_NAME),
    ],
};

pub const CONTAINER: Keys = Keys {
    read: &["name", "ports", "restartPolicy"],
    idle: &[
        "args",
        "command",
        "env",
        "envFrom",
        "image",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "readinessProbe",
        "resizePolicy",
        "resources",
        "restartPolicyRules",
        "securityContext",
        "startupProbe",
        "stdin",
        "stdinOnce",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "tty",
        "volumeDevices",
        "volumeMounts",
        "workingDir",
    ],
    matter: &[],
};

pub const CONTAINER_PORT: Keys = Keys {
    read: &["name", "containerPort", "protocol"],
    idle: &["hostIP"],
    matter: &[fault("hostPort", &["0"], "pods have no ports of their nodes; use a service of the type NodePort")],
};

pub const SERVICE: Keys = Keys {
    read: &[
        "type",
        "ports",
        "selector",
        "clusterIP",
        "clusterIPs",
        "ipFamilies",
        "ipFamilyPolicy",
        "externalIPs",
        "loadBalancerIP",
        "loadBalancerSourceRanges",
        "sessionAffinity",
        "sessionAffinityConfig",
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "internalTrafficPolicy",
        "publishNotReadyAddresses",
        "externalName",
    ],
    idle: &["loadBalancerClass"],
    matter: &[
        fault("allocateLoadBalancerNodePorts", &["true"], "services of the type LoadBalancer have node ports"),
        warning("trafficDistribution", &[], "endpoints are chosen by chance, wherever they are"),
    ],
};

/// A port of a service as it is in the cluster's own words, too.
pub const SERVICE_PORT: Keys =
    Keys { read: &["name", "protocol", "port", "targetPort", "nodePort"], idle: &["appProtocol"], matter: &[] };

pub const SLICE_ENDPOINT: Keys = Keys {
    read: &["addresses", "conditions"],
    idle: &["deprecatedTopology", "hostname", "nodeName", "targetRef", "zone"],
    matter: &[warning("hints", &[], "endpoints are chosen by chance, wherever they are")],
};

pub const SUBSET: Keys = Keys { read: &["addresses", "ports"], idle: &["notReadyAddresses"], matter: &[] };

pub const SUBSET_ADDRESS: Keys = Keys { read: &["ip"], idle: &["hostname", "nodeName", "targetRef"], matter: &[] };

pub const ENDPOINT_PORT: Keys = Keys { read: &["name", "port", "protocol"], idle: &["appProtocol"], matter: &[] };

pub const POLICY: Keys = Keys { read: &["podSelector", "policyTypes", "ingress", "egress"], idle: &[], matter: &[] };

pub const INGRESS: Keys =
    Keys { read: &["ingressClassName", "defaultBackend", "rules", "tls"], idle: &[], matter: &[] };
