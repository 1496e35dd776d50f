import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { at, deployed, deployFolder, readDocuments } from "../../support/deploy.js";

// Each file by the tool of its own kind, where that is installed.

/** What a linter complains of, all of it; undefined where it is not installed. */
function lint(command: string, ...argv: readonly string[]): string | undefined {
  const { error, status, stdout, stderr } = spawnSync(command, argv, { cwd: deployFolder, encoding: "utf8" });
  if (error !== undefined) return undefined;
  return status === 0 ? "" : `${stdout}${stderr}`;
}

function isInstalled(command: string): boolean {
  return spawnSync("which", [command]).status === 0;
}

describe("what is in deploy/ passes its own tools", () => {
  test.skipIf(!isInstalled("shellcheck"))(
    "ShellCheck: the script for Slurm (skipped where it is not installed)",
    () => {
      expect(lint("shellcheck", "slurm/amalgam.sbatch")).toBe("");
    },
  );

  test("bash reads the script for Slurm", () => {
    expect(() => execFileSync("bash", ["-n", join(deployFolder, "slurm/amalgam.sbatch")])).not.toThrow();
  });

  test.skipIf(!isInstalled("systemd-analyze")).each(deployed(".service"))(
    "systemd-analyze verify: %s (skipped where it is not installed)",
    (file) => {
      const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], {
        cwd: deployFolder,
        encoding: "utf8",
      });
      // That the program is not installed here is nothing that is wrong with the unit.
      const complaints = `${stdout}${stderr}`
        .split("\n")
        .filter((line) => line.includes(file.split("/").at(-1) ?? "") && !line.includes("is not executable"));
      expect(complaints).toEqual([]);
    },
  );

  test.skipIf(!isInstalled("kubectl")).each(["base", "gpu"])(
    "kubectl kustomize: %s (skipped where it is not installed)",
    (folder) => {
      expect(lint("kubectl", "kustomize", `kubernetes/${folder}`)).toBe("");
    },
  );

  test.skipIf(!isInstalled("promtool"))("promtool: the alerts (skipped where it is not installed)", () => {
    expect(lint("promtool", "check", "rules", "prometheus/alerts.yaml")).toBe("");
  });

  test.each(deployed(".yaml"))("%s is YAML without anything twice", (file) => {
    expect(readDocuments(file).length).toBeGreaterThan(0);
  });
});

describe("Kubernetes' manifests fit each other", () => {
  const documents = deployed(".yaml", join(deployFolder, "kubernetes")).flatMap((file) => readDocuments(file));
  const named = (kind: string): readonly string[] =>
    documents
      .filter((document) => at(document, "kind") === kind)
      .map((document) => String(at(document, "metadata", "name")));
  const pods = documents.flatMap((document) => {
    const spec = at(document, "spec", "template", "spec") as PodSpec | undefined;
    return spec === undefined ? [] : [{ name: String(at(document, "metadata", "name")), spec }];
  });

  interface PodSpec {
    readonly securityContext?: Readonly<Record<string, unknown>>;
    readonly containers: readonly {
      readonly ports?: readonly { readonly name: string }[];
      readonly volumeMounts?: readonly { readonly name: string }[];
      readonly securityContext?: Readonly<Record<string, unknown>>;
      readonly livenessProbe?: { readonly httpGet: { readonly port: string } };
    }[];
    readonly volumes?: readonly {
      readonly name: string;
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
  }

  test.each(pods)("$name: what it mounts, claims and probes is there, and it is nobody special", ({ name, spec }) => {
    const volumes = [...(spec.volumes ?? []).map((volume) => volume.name), ...(name === "nats" ? ["data"] : [])];
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
    for (const container of spec.containers) {
      expect(volumes).toEqual(expect.arrayContaining((container.volumeMounts ?? []).map((mount) => mount.name)));
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      const probed = container.livenessProbe?.httpGet.port;
      if (probed !== undefined) expect(container.ports?.map((port) => port.name)).toContain(probed);
    }
    for (const { persistentVolumeClaim } of spec.volumes ?? []) {
      if (persistentVolumeClaim !== undefined)
        expect(named("PersistentVolumeClaim")).toContain(persistentVolumeClaim.claimName);
    }
  });

  test("every component has a budget for disruptions and a policy for its network, and nothing else is let through", () => {
    for (const component of ["nats", "coordinator", "agent"]) {
      expect(named("PodDisruptionBudget")).toContain(component);
      expect(named("NetworkPolicy")).toContain(component);
    }
    const nothing = documents.find((document) => at(document, "metadata", "name") === "nothing");
    expect(at(nothing, "spec")).toEqual({ podSelector: {}, policyTypes: ["Ingress", "Egress"] });
  });
});
