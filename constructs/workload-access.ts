import { ClusterRoleBindingV1 } from "@cdktf/provider-kubernetes/lib/cluster-role-binding-v1";
import { ClusterRoleV1 } from "@cdktf/provider-kubernetes/lib/cluster-role-v1";
import { ServiceAccountV1 } from "@cdktf/provider-kubernetes/lib/service-account-v1";
import type { ITerraformDependable } from "cdktf";
import { Construct } from "constructs";
import { workloadRole } from "../site/probe-walk";

/** Props of WorkloadAccess. */
export interface WorkloadAccessProps {
  readonly namespace: string;
  /** For the service account; the cluster role's name is prefixed with the namespace. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * What must exist before it.
   * @default nothing
   */
  readonly dependsOn?: ITerraformDependable[];
}

const RBAC = "rbac.authorization.k8s.io";

/**
 * A service account that may list the cluster's pods and CronJobs, and nothing else: no Secrets, no logs, no single
 * objects, and no changes. Whoever deploys it must have these rights: the API server prevents granting rights that one
 * does not have.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
export class WorkloadAccess extends Construct {
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, { namespace, name, labels, dependsOn }: WorkloadAccessProps) {
    super(scope, id);
    const account = new ServiceAccountV1(this, "ServiceAccount", {
      metadata: { name, namespace, labels },
      // The pod mounts it explicitly.
      automountServiceAccountToken: false,
      dependsOn,
    });
    // A cluster-wide object: the namespace in its name keeps two sites apart.
    const metadata = { name: workloadRole(namespace, name), labels };
    const role = new ClusterRoleV1(this, "ClusterRole", {
      metadata,
      rule: [
        { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
        { apiGroups: ["batch"], resources: ["cronjobs"], verbs: ["list"] },
      ],
      dependsOn,
    });
    const binding = new ClusterRoleBindingV1(this, "ClusterRoleBinding", {
      metadata,
      roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: metadata.name },
      subject: [{ kind: "ServiceAccount", name, namespace }],
      dependsOn: [role, account],
    });
    this.resources = [account, role, binding];
  }
}
