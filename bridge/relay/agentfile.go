package relay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gabriel-vasile/mimetype"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// File implements [bridge.Core].
func (c *core) File(ctx context.Context, a bridge.Attachment) (*bridge.File, error) {
	return c.bridge.files.open(ctx, a.URL)
}

// open opens an agent's file. Only what was given an address of ours is opened:
// an attachment that lies elsewhere is not ours to fetch.
func (s *files) open(ctx context.Context, address string) (*bridge.File, error) {
	if s.publicURL == nil {
		return nil, bridge.ErrNoFile
	}
	token, ours := strings.CutPrefix(address, s.publicURL.JoinPath("files").String()+"/")
	if !ours {
		return nil, bridge.ErrNoFile
	}
	file, p := s.find(ctx, token)
	if p != nil && p.Status == http.StatusNotFound {
		return nil, bridge.ErrNoFile
	}
	if p != nil {
		return nil, p
	}
	release, p := s.slot(ctx)
	if p != nil {
		return nil, p
	}
	source, err := s.lp.Download(ctx, connector.ConsumerIdentity(file.Consumer), file.RelativePath, maxAgentFile)
	if err != nil {
		release()
		if errors.Is(err, connector.ErrTooLarge) || connector.OutcomeOf(err) == bridge.Invalid {
			return nil, bridge.ErrNoFile
		}
		return nil, err
	}
	return peek(source, release)
}

// peek looks at the first bytes of a file. Closing it frees its slot.
func peek(source *connector.File, release func()) (*bridge.File, error) {
	body := bufio.NewReaderSize(source.Body, fileSniffed)
	head, err := body.Peek(fileSniffed)
	closing := &slotCloser{Reader: body, source: source.Body, release: sync.OnceFunc(release)}
	if err != nil && !errors.Is(err, io.EOF) {
		_ = closing.Close()
		return nil, err
	}
	return &bridge.File{Body: closing, Size: source.Size, ContentType: mimetype.Detect(head).String()}, nil
}

type slotCloser struct {
	io.Reader
	source  io.Closer
	release func()
}

// Close implements [io.Closer].
func (t *slotCloser) Close() error {
	t.release()
	return t.source.Close()
}

// LeftOut implements [bridge.Core].
func (c *core) LeftOut(reason string) {
	c.bridge.metrics.leftOut.WithLabelValues(c.channel, reason).Inc()
}
