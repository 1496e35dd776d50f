// @peculiar/x509 keeps its parts in a container that wants three functions of the Reflect metadata proposal, and leaves
// it to the program to bring them. The usual package for that is ten times what is needed; imported before x509.

type Metadata = Map<unknown, unknown>;

const metadata = new WeakMap<object, Metadata>();

function define(key: unknown, value: unknown, target: object): void {
  const own = metadata.get(target) ?? new Map();
  metadata.set(target, own.set(key, value));
}

function getOwn(key: unknown, target: object): unknown {
  return metadata.get(target)?.get(key);
}

function get(key: unknown, target: object): unknown {
  for (let object: object | null = target; object !== null; object = Reflect.getPrototypeOf(object)) {
    if (metadata.get(object)?.has(key)) return getOwn(key, object);
  }
  return undefined;
}

const functions = { defineMetadata: define, getMetadata: get, getOwnMetadata: getOwn };
if (!("getMetadata" in Reflect)) Object.assign(Reflect, functions);
