"""HTTP: the direct transport, and the connections below the SDKs."""
