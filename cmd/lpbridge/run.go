package main

import (
	"context"
	"fmt"
)

// runCommand relays until ctx ends.
func runCommand(ctx context.Context, env environment) error {
	s, err := loadSettings(env)
	if err != nil {
		return err
	}
	s.warn(env)
	a, err := newApp(ctx, s)
	if err != nil {
		return err
	}
	return a.run(ctx)
}

func versionCommand(_ context.Context, env environment) error {
	_, err := fmt.Fprintln(env.stdout, "lpbridge", version())
	return err
}
