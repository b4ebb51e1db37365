"""The base-station service: decodes CSI reports in batches, scores them, stores them, answers queries."""
