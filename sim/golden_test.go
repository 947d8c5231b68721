package sim

var goldenStreams = []uint64{0x333c16886c1bfba, 0x2c0953e70f936034, 0x120ba610cf93c2db, 0xbbb5ecd924b69fa3, 0x2c0953e70f936034, 0x623470b111d5162d}

const (
	goldenLedger = "039dbb33e2f8c5fe4b3bba431a56793c75aabc32d77976ba21b45e0a9e706a93"
	goldenNodes  = "5b98076e9587f71fcecb20bd2fb7c717"
)
