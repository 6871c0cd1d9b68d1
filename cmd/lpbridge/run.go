package main

import (
	"context"
	"errors"
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
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		s.log.Info("stopped")
		return nil
	}
	if err != nil {
		return err
	}
	return a.run(ctx)
}

func versionCommand(_ context.Context, env environment) error {
	_, err := fmt.Fprintln(env.stdout, "lpbridge", version())
	return err
}
