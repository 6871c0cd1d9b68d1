package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthTime is how long the healthcheck waits for an answer.
const healthTime = 3 * time.Second

// healthCheckCommand asks the bridge of the same environment whether it is
// ready. Images without a shell need their health check in the binary.
func healthCheckCommand(ctx context.Context, env environment) error {
	admin, err := adminClient(env)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin.BaseURL+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := admin.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d", resp.StatusCode)
	}
	return nil
}
