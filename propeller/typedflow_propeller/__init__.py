"""The reconciler and its executors: local processes and Kubernetes pods."""
