"""Store: results of stages in folders named by the digest of everything that decides them."""
