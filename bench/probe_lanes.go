package main

import "context"

// openLanes measures the small call by each lane, with the floors of all, in the
// same turns.
func openLanes(ctx context.Context, b *bed) (s session, err error) {
	var ends []func()
	end := func() {
		for _, f := range ends {
			f()
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	request, response, err := callSizes("change", small, small)
	if err != nil {
		return nil, err
	}
	raw, err := newRawRing(request, response)
	if err != nil {
		return nil, err
	}
	ends = append(ends, raw.close)
	pair, err := newPingPong(request, response)
	if err != nil {
		return nil, err
	}
	ends = append(ends, pair.close)
	futex, err := newFutexPong(request, response)
	if err != nil {
		return nil, err
	}
	ends = append(ends, futex.close)
	chans := newChannels()
	ends = append(ends, chans.close)
	order := []lane{ringLane, unspunLane, socketLane, localLane}
	floorOf := []int{0, 3, 1, 2} // each lane's, among the players
	players := []player{raw.side(), pair.side(), chans.side(), futex.side()}
	for _, l := range order {
		s, err := b.on(ctx, l)
		if err != nil {
			return nil, err
		}
		players = append(players, s.smallCall(ctx))
	}
	measure := func(context.Context) (map[string]reading, error) {
		found, err := byTurns(b.budget, players...)
		if err != nil {
			return nil, err
		}
		readings := make(map[string]reading)
		for i, l := range order {
			ours, floor := found[len(players)-len(order)+i], found[floorOf[i]]
			name := "lane/" + string(l)
			readings[name+"/p50"] = reading{ours.at(0.5), floor.at(0.5)}
			readings[name+"/p99"] = reading{ours.at(0.99), floor.at(0.99)}
			readings[name+"/p99.9"] = reading{ours.at(0.999), floor.at(0.999)}
			readings[name+"/cpu"] = reading{ours.cpuPerOp(), floor.cpuPerOp()}
		}
		return readings, nil
	}
	return sessionFuncs{measure, end}, nil
}
