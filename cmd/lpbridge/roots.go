package main

import (
	// An image without an operating system has neither root certificates nor
	// time zones.
	_ "time/tzdata"

	_ "golang.org/x/crypto/x509roots/fallback"
)
