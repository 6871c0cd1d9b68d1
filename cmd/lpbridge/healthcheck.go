package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"lpbridge/config"
)

// healthTime is how long the healthcheck waits for an answer.
const healthTime = 3 * time.Second

// healthCheckCommand asks the bridge of the same environment whether it is
// ready. Images without a shell need their health check in the binary.
func healthCheckCommand(ctx context.Context, env environment) error {
	var section struct {
		Bridge config.Bridge `env:",prefix=LPBRIDGE_"`
	}
	if _, err := config.Load(&section, env.lookup); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, adminURL(section.Bridge.AdminListen)+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d", resp.StatusCode)
	}
	return nil
}

// adminURL is where this machine reaches the admin listener.
func adminURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
