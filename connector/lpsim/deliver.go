package lpsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"net/http"
	"time"
)

// deliver makes one attempt and tells whether the answer was 200 or 201 in time.
func (h *hooks) deliver(ctx context.Context, n *notification, config Webhooks) bool {
	f := h.faults()
	endpoint, subscribed := config.endpoint(n.kind)
	if !subscribed {
		return true
	}
	h.stats.attempts.Add(1)
	if n.attempts++; n.attempts > 1 {
		h.stats.retried.Add(1)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.WebhookTimeoutMs)*time.Millisecond)
	defer cancel()
	begin := time.Now()
	status, err := h.request(ctx, n, endpoint, config, f)
	h.noteTime(time.Since(begin), f)
	switch {
	case err != nil:
		h.stats.failed.Add(1)
		h.Logger.Debug("webhook not answered", "kind", n.kind, "attempt", n.attempts)
		return false
	case status != http.StatusOK && status != http.StatusCreated:
		h.stats.refused.Add(1)
		h.Logger.Debug("webhook refused", "kind", n.kind, "attempt", n.attempts, "status", status)
		return false
	}
	h.stats.delivered.Add(1)
	return true
}

func (h *hooks) request(ctx context.Context, n *notification, e Endpoint, config Webhooks, f *inForce) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(n.body))
	if err != nil {
		return 0, err
	}
	for _, headers := range []map[string]string{config.Headers, e.Headers} {
		for name, value := range headers {
			req.Header.Set(name, value)
		}
	}
	req.Header.Set("Content-Type", f.WebhookContentType)
	req.Header.Set("x-liveperson-account-id", h.Account)
	req.Header.Set("x-liveperson-client-id", h.id)
	req.Header.Set("x-liveperson-signature", signature([]byte(h.secret), n.body, config.SHA256))
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	// The body is ignored, but reading a little of it keeps the connection usable.
	_, err = io.CopyN(io.Discard, resp.Body, 4096)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return resp.StatusCode, err
}

// signature is x-liveperson-signature over the exact bytes of a body.
func signature(secret, body []byte, sha2 bool) string {
	name, algorithm := "sha1=", func() hash.Hash { return sha1.New() }
	if sha2 {
		name, algorithm = "sha256=", sha256.New
	}
	mac := hmac.New(algorithm, secret)
	mac.Write(body)
	return name + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// noteTime counts slow answers and, when asked to, disables an app that gave nothing else for two minutes.
func (h *hooks) noteTime(took time.Duration, f *inForce) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if took <= time.Duration(f.WebhookSlowMs)*time.Millisecond {
		h.slow = time.Time{}
		return
	}
	h.stats.slow.Add(1)
	if h.slow.IsZero() {
		h.slow = time.Now()
	}
	if f.WebhookDisableWhenSlow && time.Since(h.slow) > slowTolerance {
		h.state = hooksDisabled
		h.Logger.Warn("webhooks disabled for slowness")
	}
}
