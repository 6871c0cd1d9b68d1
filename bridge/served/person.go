package served

import (
	"context"

	"lpbridge/bridge"
)

// Show calls show with a thing of a channel as it is kept. shown is what is shown of
// it, without what is a credential.
func Show(channel string, t Thing, shown any, show func(bridge.Kept) error) error {
	r, err := t.Record()
	if err != nil {
		return err
	}
	return showRecord(channel, &r, shown, nil, show)
}

// Show calls show with the records of a parent and the bytes behind them. hide takes
// out what is a credential. It ends with the first error.
func (k Kind[T]) Show(ctx context.Context, records bridge.RecordReader, channel, parent string, hide func(*T), show func(bridge.Kept) error) error {
	for r, err := range bridge.EachRecord(ctx, records, string(k), parent) {
		if err != nil {
			return err
		}
		v, behind, err := k.DecodeWithBytes(r)
		if err != nil {
			return err
		}
		hide(v)
		if err := showRecord(channel, &r, v, behind, show); err != nil {
			return err
		}
	}
	return nil
}

func showRecord(channel string, r *bridge.Record, shown any, behind []byte, show func(bridge.Kept) error) error {
	kept, err := bridge.KeptRecord(channel, r, shown, behind)
	if err != nil {
		return err
	}
	return show(kept)
}
