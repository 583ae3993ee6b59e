"""What must hold, each rule under the name of its invariant in the protocol."""
