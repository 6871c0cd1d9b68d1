package bridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// TransportError keeps of an error of an adapter's HTTP call what it can say
// without quoting an address's query or bytes of the far side's.
func TransportError(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cert
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return ended
		}
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return fmt.Errorf("the connection was closed: %w", known)
		}
	}
	return fmt.Errorf("the call failed (%T)", err)
}
