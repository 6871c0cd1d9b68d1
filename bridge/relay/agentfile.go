package relay

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
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

// elsewhere parts files that lie at an address of the web, which channels can show
// as files, from those of which only the words can be told.
func elsewhere(files []connector.ExternalFile) (linked, named []connector.ExternalFile) {
	for _, f := range files {
		if u, err := url.Parse(f.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
			linked = append(linked, f)
		} else {
			named = append(named, f)
		}
	}
	return linked, named
}

// externalFile is such a file as an attachment. What LivePerson does not say of it,
// the end of its address may.
func externalFile(f connector.ExternalFile) bridge.Attachment {
	name, kind := f.Caption, f.FileType
	if u, err := url.Parse(f.URL); err == nil {
		name = cmp.Or(name, strings.Trim(path.Base(u.Path), "/."))
		kind = cmp.Or(kind, strings.TrimPrefix(path.Ext(u.Path), "."))
	}
	return bridge.Attachment{URL: f.URL, ContentType: mediaTypeOf(kind), Name: fileName(name, kind)}
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
