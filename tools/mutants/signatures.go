package main

// ofSignatures are about who is believed.
var ofSignatures = []mutant{
	{
		name: "a notification that anybody signed is believed",
		file: "lpauth/signature.go", old: "if !hmac.Equal(mac.Sum(nil), claimed) {", broken: "if len(claimed) == 0 {",
		packages: []string{"./lpauth"}, run: "Signature",
	},
	{
		name: "an unsigned notification is believed",
		file: "lpauth/signature.go", old: "\t\treturn ErrSignatureMissing\n", broken: "\t\treturn nil\n",
		packages: []string{"./lpauth"}, run: "Signature",
	},
	{
		name: "a pinned algorithm is not insisted on",
		file: "lpauth/signature.go", old: "if len(pinned) > 0 && !slices.Contains(pinned, Algorithm(name)) {", broken: "if len(pinned) > 9 && !slices.Contains(pinned, Algorithm(name)) {",
		packages: []string{"./lpauth"}, run: "Signature",
	},
	{
		name: "only the first of the generic webhook's secrets is believed",
		file: "bridge/webhook/signature.go", old: "\tfor _, key := range a.keys {\n\t\terr := key.Verify", broken: "\tfor _, key := range a.keys[:1] {\n\t\terr := key.Verify",
		packages: []string{"./bridge/webhook"}, run: "Verify|Secret",
	},
	{
		name: "what leaves is signed with one of the secrets only",
		file: "bridge/webhook/signature.go", old: "strings.TrimSpace(h.Get(headerSignature)+\" \"+signature)", broken: "signature",
		packages: []string{"./bridge/webhook"}, run: "Secret",
	},
	{
		name: "any bearer token is believed",
		file: "bridge/webhook/signature.go", old: "subtle.ConstantTimeCompare(got[:], want[:]) != 1) {", broken: "subtle.ConstantTimeCompare(got[:], want[:]) > 1) {",
		packages: []string{"./bridge/webhook"}, run: "Verify|Token|Refusals|Conformance|Answers",
	},
	{
		name: "a webhook of Chatwoot's that was recorded is believed for ever",
		file: "bridge/chatwoot/signature.go", old: "age > int64(tolerance/time.Second) || -age > int64(tolerance/time.Second) {", broken: "-age > int64(tolerance/time.Second) {",
		packages: []string{"./bridge/chatwoot"}, run: "Signature",
	},
	{
		name: "a webhook of Chatwoot's that anybody signed is believed",
		file: "bridge/chatwoot/signature.go", old: "\tbelieved := 0\n", broken: "\tbelieved := 1\n",
		packages: []string{"./bridge/chatwoot"}, run: "Signature",
	},
	{
		name: "a visitor proves to be somebody with any hash",
		file: "bridge/chatwootapi/identity.go", old: "if !hmac.Equal([]byte(hash), []byte(hex.EncodeToString(mac.Sum(nil)))) || len", broken: "if len(hash) != len(hex.EncodeToString(mac.Sum(nil))) || len",
		packages: []string{"./bridge/chatwootapi"}, run: "Proof",
	},
	{
		name: "a push of LiveChatAI's is believed whatever its body",
		file: "bridge/livechatai/push.go", old: "\t\tmac.Write(body)\n", broken: "\t\tmac.Write(nil)\n",
		packages: []string{"./bridge/livechatai"}, run: "Push|Sign",
	},
	{
		name: "a push of LiveChatAI's that was recorded is believed for ever",
		file: "bridge/livechatai/push.go", old: "if age := time.Now().Unix() - seconds; seconds < 0 || age > int64(tolerance/time.Second) ||", broken: "if age := time.Now().Unix() - seconds; seconds < 0 ||",
		packages: []string{"./bridge/livechatai"}, run: "Push|Sign",
	},
	{
		name: "a nonce of Layer's that nobody issued can be used",
		file: "bridge/layer/nonces.go", old: "return hmac.Equal(mac, signNonce(key, signed)) && time.Now().Before(ends)", broken: "return len(mac) == len(signNonce(key, signed)) && time.Now().Before(ends)",
		packages: []string{"./bridge/layer"}, run: "Nonce|Login",
	},
	{
		name: "a nonce of Layer's never ends",
		file: "bridge/layer/nonces.go", old: "&& time.Now().Before(ends)", broken: "&& !ends.IsZero()",
		packages: []string{"./bridge/layer"}, run: "Nonce",
	},
	{
		name: "a user of Layer's may log in as an agent",
		file: "bridge/layer/identitytoken.go", old: "\tif a.cfg.isAgent(c.User) {\n", broken: "\tif a.cfg.isAgent(c.User + \" \") {\n",
		packages: []string{"./bridge/layer"}, run: "IdentityTokens|Login",
	},
}
