import { expect, test } from "vitest";
import { Connection, Connections } from "../../../../../shared/rpc/server/connections.js";
import { serverLimits } from "../../../../../shared/rpc/server/limits.js";

/** Room for four connections, two of them of one address. */
function createRoom() {
  const connections = new Connections({ ...serverLimits, connections: 4, connectionsPerAddress: 2 });
  const ended: [string, string | undefined][] = [];
  const connect = (peer: string, now: number): Connection => {
    const [address = ""] = peer.split(":");
    const connection = new Connection(peer, address, now, (reason) => {
      connection.isEnding = true;
      ended.push([peer, reason]);
      connections.remove(connection);
    });
    connections.add(connection);
    return connection;
  };
  return { connections, ended, connect };
}

/** It has made a call, which ended at `now`. */
function prove(connection: Connection, now: number): void {
  connection.isReady = true;
  connection.isProven = true;
  connection.idleSince = now;
}

test("for a new connection the one goes that never had a call, however lately others had theirs", () => {
  const { ended, connect } = createRoom();
  prove(connect("a:1", 0), 1);
  connect("a:2", 5);
  connect("a:3", 6);
  expect(ended).toEqual([["a:2", "its address has 2 connections, and it has been idle for the longest time"]]);
});

test("among those that had calls the one goes that has had none for the longest time", () => {
  const { ended, connect } = createRoom();
  prove(connect("a:1", 0), 9);
  prove(connect("a:2", 5), 7);
  connect("a:3", 10);
  expect(ended.map(([peer]) => peer)).toEqual(["a:2"]);
});

test("a connection with a call never goes, and a new one is not let in when all have one", () => {
  const { ended, connect } = createRoom();
  for (const peer of ["a:1", "a:2"]) connect(peer, 0).calls = 1;
  connect("a:3", 1);
  expect(ended).toEqual([["a:3", "its address has 2 connections, and all of them are in use"]]);
});

test("one address does not take the room of others", () => {
  const { connections, ended, connect } = createRoom();
  prove(connect("b:1", 0), 0);
  for (let i = 1; i <= 50; i++) connect(`a:${i}`, i);
  expect(connections.find("b:1")).toBeDefined();
  expect(connections.size).toBe(3);
  expect(ended).toHaveLength(48);
});

test("many addresses share the room of all", () => {
  const { connections, ended, connect } = createRoom();
  prove(connect("b:1", 0), 0);
  for (let i = 1; i <= 50; i++) connect(`a${i}:1`, i);
  expect(connections.size).toBe(4);
  expect(connections.find("b:1")).toBeDefined();
  expect(ended[0]).toEqual(["a1:1", "there are 4 connections, and it has been idle for the longest time"]);
});

test("sweep() ends who does not shake hands, and without a word who has been idle for long", () => {
  const { connections, ended, connect } = createRoom();
  const { handshakeMs, idleMs } = serverLimits;
  connect("a:1", 0);
  prove(connect("b:1", 0), 0);
  const busy = connect("c:1", 0);
  prove(busy, 0);
  busy.calls = 1;
  connections.sweep(handshakeMs);
  expect(ended).toEqual([]);
  connections.sweep(handshakeMs + 1);
  expect(ended).toEqual([["a:1", "it has not shaken hands within 10 seconds"]]);
  connections.sweep(idleMs + 1);
  expect(ended.slice(1)).toEqual([["b:1", undefined]]);
});

test("countFrame() forgives what is spread over time", () => {
  const connection = new Connection("a:1", "a", 0, () => undefined);
  const limits = { ...serverLimits, controlFrames: 3, controlWindowMs: 100 };
  for (const now of [0, 1, 2]) expect(connection.countFrame(now, limits)).toBe(true);
  expect(connection.countFrame(3, limits)).toBe(false);
  expect(connection.countFrame(101, limits)).toBe(true);
});
