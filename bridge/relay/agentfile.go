package relay

import (
	"bufio"
	"bytes"
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
	return c.bridge.files.open(ctx, a)
}

// open opens an agent's file.
func (s *files) open(ctx context.Context, a bridge.Attachment) (*bridge.File, error) {
	token, ours := s.token(a.URL)
	if !ours {
		return s.fetch(ctx, a)
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

// fetch gets a file that lies elsewhere. It is held in memory, for only then it is
// known that it is whole. One that cannot be had at once is not waited for: its
// address is as good.
func (s *files) fetch(ctx context.Context, a bridge.Attachment) (*bridge.File, error) {
	if s.fetcher == nil {
		return nil, bridge.ErrNoFile
	}
	release, p := waitForSlot(ctx, s.elsewhere)
	if p != nil {
		return nil, p
	}
	data, err := s.fetcher.Whole(ctx, a.URL, maxElsewhere)
	if err == nil {
		kind := mimetype.Detect(data)
		// What is no page and shows one is a login, or says that it is gone.
		if !kind.Is("text/html") || strings.HasPrefix(a.ContentType, "text/html") {
			body := &slotCloser{Reader: bytes.NewReader(data), source: io.NopCloser(nil), release: sync.OnceFunc(release)}
			return &bridge.File{Body: body, Size: int64(len(data)), ContentType: kind.String()}, nil
		}
		err = errors.New("a page was answered in its stead")
	}
	release()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.log.Info("an agent's file that lies elsewhere goes as its address", "error", err)
	return nil, bridge.ErrNoFile
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

// Slots implements [bridge.Core].
func (c *core) Slots() int { return c.bridge.opts.Slots }

// ConnectionClosed implements [bridge.Core].
func (c *core) ConnectionClosed(reason string) { c.bridge.closings.note(c.channel, reason) }
