//! Who rents machines to anybody: keys of a person's home are not used from there, stolen ones are.

/// Numbers of well-known hosting companies, by <https://www.peeringdb.com> and the registries. A short list: the user's
/// table may tell more in a column `hosting`, and `[access] hosting` adds numbers.
pub(super) const HOSTING: [u32; 41] = [
    // Amazon, Google, Microsoft, Oracle, Alibaba, Tencent, IBM, Cloudflare
    16_509, 14_618, 15_169, 396_982, 8_075, 31_898, 45_102, 37_963, 132_203, 45_090, 36_351, 13_335,
    // OVH, Hetzner, DigitalOcean, Akamai (Linode), Vultr, Contabo, M247, Leaseweb, Scaleway, IONOS
    16_276, 24_940, 213_230, 14_061, 63_949, 20_473, 51_167, 40_021, 9_009, 60_781, 28_753, 30_633, 12_876, 8_560,
    // Hostinger, Datacamp, Fly.io, UpCloud, netcup, Hivelocity, G-Core, Worldstream, Psychz, ColoCrossing, FranTech
    47_583, 60_068, 212_238, 40_509, 202_053, 197_540, 29_802, 199_524, 49_981, 40_676, 36_352, 53_667,
    // QuadraNet, Clouvider, Zenlayer
    8_100, 62_240, 21_859,
];
