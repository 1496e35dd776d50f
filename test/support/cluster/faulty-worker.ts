// The fault first: it listens before the worker does.
import "./worker-fault.js";
import "../../../node-agent/worker.js";
