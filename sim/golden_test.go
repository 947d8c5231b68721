package sim

var goldenStreams = []uint64{0x333c16886c1bfba, 0x2c0953e70f936034, 0x120ba610cf93c2db, 0xbbb5ecd924b69fa3, 0x2c0953e70f936034, 0x623470b111d5162d}
