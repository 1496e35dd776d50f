import { shellWord } from "../../shared/quote.js";
import { formatAddress } from "../../shared/rpc/channel.js";
import { uriOfRoleIn } from "../../shared/rpc/tls/identity.js";
import type { CertificateFolder, IssuedFile } from "../certs/folder.js";
import type { RevocationFile } from "../certs/revoke.js";
import { formatQuantity } from "../plan/report.js";

/** What was made, what goes where, and what to type there. */
export function describeSet(made: CertificateFolder): string {
  const { ca, caKey, crl, issued, isNewAuthority } = made;
  const lines = [
    `${isNewAuthority ? "A new authority" : "The authority"}: every node gets ${ca}; ${caKey} stays here, whoever has it lets anybody in`,
    ...(crl === undefined
      ? []
      : [`Every node follows ${crl}, where amalgam certs FOLDER --revoke NAME puts what is stolen`]),
    ...issued.map(describeFile),
    "",
    ...commands(made),
  ];
  return `${lines.join("\n")}\n`;
}

/** What was revoked, and what there is to do. */
export function describeRevocations({ crl, revoked, size }: RevocationFile): string {
  const lines = [
    ...revoked.map(({ whose, serial, on }) => {
      return `Revoked ${whose === undefined ? "" : `${whose}, `}serial ${serial}, since ${on.toISOString().slice(0, 10)}`;
    }),
    `${crl} has ${formatQuantity(size, "certificate")}: copy it to every node. Those started with "--tls-crl" use it within seconds and end connections of whoever is on it.`,
    "NATS reads no such lists: docs/operations.md says how to keep a certificate out there.",
  ];
  return `${lines.join("\n")}\n`;
}

function describeFile({ subject, certificate, key, validTo }: IssuedFile): string {
  const { roles, name, hosts } = subject;
  const who = roles.length === 0 ? "NATS" : `${roles.join(" and ")} ${name}`;
  const reached = hosts.length === 0 ? "" : `, reached at ${hosts.join(", ")}`;
  return `${who}: ${certificate} and ${key}, until ${validTo.toISOString().slice(0, 10)}${reached}`;
}

/** One line for each kind of node: the others' differ in their names. */
function commands({ ca, crl, issued }: CertificateFolder): readonly string[] {
  const nats = issued.find(({ subject }) => subject.roles.length === 0)?.subject.hosts[0] ?? "NATS-HOST";
  const url = `--nats tls://${formatAddress(nats, 4222)}`;
  const of = (role: string): IssuedFile | undefined =>
    issued.find(({ subject }) => subject.roles.some((held) => held === role));
  const tls = ({ certificate, key }: IssuedFile): string =>
    `--tls-ca ${shellWord(ca)} --tls-cert ${shellWord(certificate)} --tls-key ${shellWord(key)}${list}`;
  const list = crl === undefined ? "" : ` --tls-crl ${shellWord(crl)}`;
  const lines: string[] = [];
  const [agent, coordinator, operator] = [of("agent"), of("coordinator"), of("operator") ?? of("viewer")];
  if (agent !== undefined) {
    const host = agent.subject.hosts[0] ?? "HOST";
    lines.push(`  amalgam agent --root DIR --host ${host} ${url} ${tls(agent)}`);
  }
  if (coordinator !== undefined) lines.push(`  amalgam coordinator ${url} ${tls(coordinator)}`);
  if (operator !== undefined) lines.push(`  amalgam status ${url} ${tls(operator)}`);
  if (lines.length === 0) return [`${formatQuantity(issued.length, "certificate")} made`];
  const nodes = "Names come from certificates. NATS takes deploy/nats/amalgam.conf, which knows the roles.";
  const cluster = issued.find(({ subject }) => subject.cluster !== undefined)?.subject.cluster;
  const users =
    cluster === undefined ? [] : [`Its users in server.conf are "${uriOfRoleIn(cluster, "agent")}" and so on then.`];
  return [nodes, ...users, ...lines, "Renew with amalgam certs FOLDER --renew; nodes use new files without a restart."];
}
