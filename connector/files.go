package connector

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"lpbridge/lpauth"
)

const (
	opUploadURL   = "ms.GenerateURLForUploadFile"
	opDownloadURL = "ms.GenerateURLForDownloadFile"
	opUpload      = "file upload"
	opDownload    = "file download"

	// MaxUploadBytes is the largest picture LivePerson takes ("File Sharing" page).
	MaxUploadBytes = 3 << 20
	// MaxDocumentBytes is the largest file where consumers may send documents too, as
	// LivePerson's mobile SDK lets them.
	MaxDocumentBytes = 5 << 20
)

var (
	pictureTypes  = []string{"JPG", "JPEG", "PNG", "GIF"}
	documentTypes = []string{"PDF", "DOCX", "PPTX", "XLSX"}
)

// uploadable tells whether the consumer may send a file of a type, LivePerson's
// fileType, and of a size in bytes.
func (c *Client) uploadable(fileType string, size int64) bool {
	fileType = strings.ToUpper(fileType)
	switch {
	case size < 1:
		return false
	case c.documents && slices.Contains(documentTypes, fileType):
		return size <= MaxDocumentBytes
	}
	return slices.Contains(pictureTypes, fileType) && size <= MaxUploadBytes
}

// fileURL is a signed address that LivePerson lets live for about a minute, so
// it is used at once and never handed on.
type fileURL struct {
	RelativePath string           `json:"relativePath"`
	QueryParams  map[string]loose `json:"queryParams"`
}

// Upload stores a file for a message and gives the relativePath a [HostedFile]
// needs ("File Sharing" page). What may be uploaded, [Client.uploadable] tells.
// Nothing is seen by the agent until the message is sent, so every failure may be
// repeated.
func (c *Client) Upload(ctx context.Context, consumer ConsumerIdentity, fileType string, data []byte) (relativePath string, err error) {
	switch {
	case fileType == "":
		return "", invalid(opUpload, "fileType is empty")
	case len(data) == 0:
		return "", invalid(opUpload, "file is empty")
	case len(data) > MaxUploadBytes && !c.uploadable(fileType, int64(len(data))):
		return "", &Error{Op: opUpload, Outcome: Invalid, Err: ErrTooLarge}
	case !c.uploadable(fileType, int64(len(data))):
		return "", invalid(opUpload, "fileType is none of those a consumer may send")
	}
	fileType = strings.ToUpper(fileType)
	ask := struct {
		FileSize string `json:"fileSize"` // a number in some examples, a string in the schema
		FileType string `json:"fileType"`
	}{strconv.Itoa(len(data)), fileType}
	var at fileURL
	err = c.withFileURL(ctx, opUploadURL, consumer, ask, func(signed fileURL) error {
		at = signed
		return c.putFile(ctx, signed, data)
	})
	return at.RelativePath, err
}

// File is a downloaded file. Close its Body.
type File struct {
	// ContentType is what the storage says, not to be trusted.
	ContentType string
	// Size in bytes, -1 if not known beforehand.
	Size int64
	// Body fails with an error matching [ErrTooLarge] beyond the limit.
	Body io.ReadCloser
}

// Download opens a file an agent sent, by the relativePath of its message, on
// behalf of the consumer it was sent to. limit is the most bytes to accept.
func (c *Client) Download(ctx context.Context, consumer ConsumerIdentity, relativePath string, limit int64) (*File, error) {
	if relativePath == "" {
		return nil, invalid(opDownload, "relativePath is empty")
	}
	ask := struct {
		RelativePath string `json:"relativePath"`
	}{relativePath}
	var file *File
	err := c.withFileURL(ctx, opDownloadURL, consumer, ask, func(signed fileURL) (err error) {
		if signed.RelativePath == "" {
			signed.RelativePath = relativePath
		}
		file, err = c.getFile(ctx, signed, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

// withFileURL asks for a signed address and uses it; it asks once more when the
// address had expired by then.
func (c *Client) withFileURL(ctx context.Context, op string, consumer ConsumerIdentity, ask any, use func(fileURL) error) error {
	for again := false; ; again = true {
		var signed fileURL
		if err := repeatable(c.send(ctx, op, consumer, ask, nil, &signed)); err != nil {
			return err
		}
		if signed.RelativePath == "" && op == opUploadURL {
			return &Error{Op: op, StatusCode: http.StatusOK, Outcome: Retry, Err: errors.New("answer holds no relativePath")}
		}
		err := use(signed)
		if again || OutcomeOf(err) != Unauthorized {
			return err
		}
	}
}

func (c *Client) putFile(ctx context.Context, signed fileURL, data []byte) error {
	resp, cancel, err := c.transfer(ctx, opUpload, http.MethodPut, signed, data)
	if err != nil {
		return err
	}
	defer cancel()
	got, err := readAnswer(opUpload, resp)
	if err != nil {
		return repeatable(err)
	}
	defer got.release()
	if !success(got.status) {
		return repeatable(refused(opUpload, got, "", "", false))
	}
	return nil
}

func (c *Client) getFile(ctx context.Context, signed fileURL, limit int64) (*File, error) {
	resp, cancel, err := c.transfer(ctx, opDownload, http.MethodGet, signed, nil)
	if err != nil {
		return nil, err
	}
	if !success(resp.StatusCode) {
		defer cancel()
		got, err := readAnswer(opDownload, resp)
		if err != nil {
			return nil, err
		}
		defer got.release()
		return nil, repeatable(refused(opDownload, got, "", "", false))
	}
	if resp.ContentLength > limit {
		_ = resp.Body.Close()
		cancel()
		return nil, &Error{Op: opDownload, StatusCode: resp.StatusCode, Outcome: Invalid, Err: ErrTooLarge}
	}
	return &File{
		ContentType: resp.Header.Get("Content-Type"), Size: resp.ContentLength,
		Body: &limitedBody{body: resp.Body, cancel: cancel, left: limit},
	}, nil
}

// transfer makes one request to the file storage. It carries no LivePerson
// token: the signature in the query is the permission.
func (c *Client) transfer(ctx context.Context, op, method string, signed fileURL, data []byte) (*http.Response, context.CancelFunc, error) {
	base, err := c.domains.BaseURL(ctx, lpauth.ServiceSwift)
	if err != nil {
		return nil, nil, notPrepared(op, err)
	}
	at, err := signed.at(base)
	if err != nil {
		return nil, nil, &Error{Op: op, Outcome: Invalid, Err: err}
	}
	bounded, cancel := context.WithTimeout(ctx, fileTimeout)
	req := (&http.Request{
		Method: method, URL: at, Host: at.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": c.userAgent},
	}).WithContext(bounded)
	if data != nil {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	}
	resp, err := c.rt.RoundTrip(req)
	if err != nil {
		failed := lost(op, err)
		if failed.Outcome == Retry && bounded.Err() == nil {
			c.domains.Invalidate()
		}
		cancel()
		return nil, nil, repeatable(failed)
	}
	return resp, cancel, nil
}

// at joins the path to the storage's host. The path comes from a message, so it
// must not be able to lead anywhere else.
func (f fileURL) at(base string) (*url.URL, error) {
	home, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("base url is not usable")
	}
	at, err := url.Parse(base + "/" + strings.TrimPrefix(f.RelativePath, "/"))
	if err != nil || at.Host != home.Host || at.RawQuery != "" || at.Fragment != "" || strings.Contains(at.Path, "/../") {
		return nil, errors.New("relativePath is not a path of the file storage")
	}
	query := make(url.Values, len(f.QueryParams))
	for name, value := range f.QueryParams {
		query.Set(name, string(value))
	}
	at.RawQuery = query.Encode()
	return at, nil
}

// limitedBody ends a transfer that turns out larger than allowed.
type limitedBody struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	left   int64
}

// Read reads on, up to the limit.
func (b *limitedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.left = -1
		return 0, &Error{Op: opDownload, Outcome: Invalid, Err: ErrTooLarge}
	}
	return n, err
}

// Close ends the transfer, finished or not.
func (b *limitedBody) Close() error {
	defer b.cancel()
	return b.body.Close()
}
