"""The REST side of the base station: reads the store, changes nothing."""
