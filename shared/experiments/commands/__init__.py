"""The commands of `csi-lab`, one file a group; each converts, calls a function, prints."""
