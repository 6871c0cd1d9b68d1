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

// File implements [bridge.Core]. Only what [Bridge.share] gave an address is
// opened: an attachment that lies elsewhere is not ours to fetch.
func (c *core) File(ctx context.Context, a bridge.Attachment) (*bridge.File, error) {
	b := c.bridge
	if b.opts.PublicURL == nil {
		return nil, bridge.ErrNoFile
	}
	token, ours := strings.CutPrefix(a.URL, b.opts.PublicURL.JoinPath("files").String()+"/")
	if !ours {
		return nil, bridge.ErrNoFile
	}
	file, p := b.fileOf(ctx, token)
	if p != nil && p.Status == http.StatusNotFound {
		return nil, bridge.ErrNoFile
	}
	if p != nil {
		return nil, p
	}
	release, p := b.fileTurn(ctx)
	if p != nil {
		return nil, p
	}
	source, err := b.lp.Download(ctx, connector.ConsumerIdentity(file.Consumer), file.RelativePath, maxAgentFile)
	if err != nil {
		release()
		if errors.Is(err, connector.ErrTooLarge) || connector.OutcomeOf(err) == bridge.Invalid {
			return nil, bridge.ErrNoFile
		}
		return nil, err
	}
	return opened(source, release)
}

// opened looks at the first bytes of a file. Closing it ends its turn.
func opened(source *connector.File, release func()) (*bridge.File, error) {
	body := bufio.NewReaderSize(source.Body, fileSniffed)
	head, err := body.Peek(fileSniffed)
	closing := &turnCloser{Reader: body, source: source.Body, release: sync.OnceFunc(release)}
	if err != nil && !errors.Is(err, io.EOF) {
		_ = closing.Close()
		return nil, err
	}
	return &bridge.File{Body: closing, Size: source.Size, ContentType: mimetype.Detect(head).String()}, nil
}

type turnCloser struct {
	io.Reader
	source  io.Closer
	release func()
}

// Close implements [io.Closer].
func (t *turnCloser) Close() error {
	t.release()
	return t.source.Close()
}

// LeftOut implements [bridge.Core].
func (c *core) LeftOut(reason string) {
	c.bridge.metrics.leftOut.WithLabelValues(c.channel, reason).Inc()
}
