"""unconv experiment: the experiments of Zeiler & Fergus."""
