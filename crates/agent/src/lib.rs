//! Runs of an agent; scout, the agent that needs no key.
