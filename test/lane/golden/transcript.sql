generator_version 12
-- lane 0, operation 0: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "2", "1", "Pietro Cassin", "-49.63", "6", "3", "Lindsay Schultz", "3.31", "2", "5", "Ferne Weissnat", "926.11", "3", "7", "Mireya Padberg", "0.14"
-- lane 0, operation 1: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "7", "abdul.turcotte.0gtcj@example.org", "bad", "2024-03-04", "{}", "11", "penelope.carter-dickens47.4gtcj@example.com", "bad", "2026-05-19", "{\"Jewelry\",\"Music\",\"Automotive\",\"Kids\"}", "15", "alivia_gottlieb54.8gtcj@example.org", "bad", "2023-11-29", "{\"Books\",\"Clothing\",\"Clothing\",\"Baby\"}", "19", "gianni1.12gtcj@example.org", "bad", "2013-07-03", "{NULL,\"Music\",\"Games\",\"Automotive\",\"Jewelry\"}"
-- lane 0, operation 2: delete on public.people
DELETE FROM "public"."people" AS t WHERE t."id" = $1::bigint
  -- "1"
-- lane 0, operation 3: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2014-08-29 14:18:38.634689+00", "caelum-0", NULL, "2015-07-10 13:43:01.631662+00", "tantillus vitiosus-4", "4.121465e-3", "2012-05-15 16:47:26.476430+00", "curia articulus-8", "-7.385521e-20", "2012-11-15 12:02:27.424726+00", "depromo succedo ultio-12", "-3.898047e2"
-- lane 0, operation 4: update on public.people
UPDATE "public"."people" AS t SET "email" = v.c0, "mood" = v.c1, "born" = v.c2 FROM (VALUES ($1::"pg_catalog"."varchar", $2::"public"."mood", $3::"pg_catalog"."date", $4::bigint), ($5::"pg_catalog"."varchar", $6::"public"."mood", $7::"pg_catalog"."date", $8::bigint)) AS v (c0, c1, c2, c3) WHERE t."id" = v.c3
  -- "desiree_greenfelder.2gtcj@example.com", "fine", "2010-12-25", "7", "stanford.ohara32.6gtcj@example.org", "bad", "2018-10-30", "11"
-- lane 0, operation 5: update on public.pets
UPDATE "public"."pets" AS t SET "name" = v.c0, "weight" = v.c1 FROM (VALUES ($1::"pg_catalog"."text", $2::"pg_catalog"."numeric", $3::bigint, $4::smallint), ($5::"pg_catalog"."text", $6::"pg_catalog"."numeric", $7::bigint, $8::smallint)) AS v (c0, c1, c2, c3) WHERE t."person" = v.c2 AND t."nr" = v.c3
  -- "Deja Kuhlman", "472.35", "3", "7", "Amely Senger", "8.47", "6", "3"
-- lane 0, operation 6: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2020-06-21 03:55:23.900797+00", "{\"n\":326858,\"name\":\"Rodrigo Abbott\",\"active\":true,\"score\":-59.4,\"tags\":[\"venio\",\"benevolentia\",\"ambitus\"]}", "2012-01-08 14:19:16.185463+00", "{\"n\":780566,\"name\":\"Liza Erdman\",\"active\":false,\"score\":-93.1,\"tags\":[\"atrox\",\"bardus\"]}", NULL, "{\"n\":889965,\"name\":\"Deshawn Windler\",\"active\":true,\"score\":84.3,\"tags\":[\"commodo\"]}", "2007-07-02 13:43:17.741164+00", "{\"n\":487750,\"name\":\"Della Wunsch\",\"active\":true,\"score\":66.9,\"tags\":[\"consectetur\",\"aer\"],\"address\":{\"city\":\"Fort Franciscabury\",\"zip\":null}}"
-- lane 0, operation 7: update on public.notes
UPDATE "public"."notes" AS t SET "at" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2022-11-13 23:15:28.299393+00", (returned by the server for operation 6, statement 1, row 4), (returned by the server for operation 6, statement 1, row 4)
UPDATE "public"."notes" AS t SET "at" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2022-01-03 16:05:27.300429+00", (returned by the server for operation 6, statement 1, row 3), (returned by the server for operation 6, statement 1, row 3)
-- lane 0, operation 8: update on public.notes
UPDATE "public"."notes" AS t SET "body" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "{\"n\":532336,\"name\":\"Urban Schuppe\",\"active\":false,\"score\":-9.4,\"tags\":[],\"address\":{\"city\":\"Treutelview\",\"zip\":null}}", (returned by the server for operation 6, statement 1, row 1), (returned by the server for operation 6, statement 1, row 1)
UPDATE "public"."notes" AS t SET "body" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "{\"n\":226523,\"name\":\"Nicklaus McCullough\",\"active\":true,\"score\":9.4,\"tags\":[]}", (returned by the server for operation 6, statement 1, row 2), (returned by the server for operation 6, statement 1, row 2)
-- lane 0, operation 9: update on public.visits
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2015-07-14 23:38:20.609968+00", "dolor atque-2", (returned by the server for operation 3, statement 1, row 2), (returned by the server for operation 3, statement 1, row 2)
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2011-05-26 00:55:23.245948+00", "esse nesciunt uxor-6", (returned by the server for operation 3, statement 1, row 3), (returned by the server for operation 3, statement 1, row 3)
-- lane 0, operation 10: delete on public.visits
DELETE FROM "public"."visits" AS t WHERE t.ctid = $1::tid AND hashtextextended((t.*)::text, 0) = $2::bigint
  -- (returned by the server for operation 3, statement 1, row 1), (returned by the server for operation 3, statement 1, row 1)
-- lane 0, operation 11: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "23", "vincenzo_schiller63.16gtcj@example.org", "bad", "2025-07-14", "{\"Baby\",\"Outdoors\"}", "27", "edwina.kutch.20gtcj@example.org", "bad", "2022-09-01", "{}", "31", "oliver57.24gtcj@example.org", "bad", "2018-10-07", "{\"Movies\",\"Automotive\",\"Beauty\",\"Grocery\"}", "35", "ulises_dickinson.28gtcj@example.org", "bad", "2025-02-02", "{\"Books\",\"Sports\",\"Outdoors\",\"Shoes\"}"
-- lane 1, operation 0: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- NULL, "{\"n\":396144,\"name\":\"Jamel Schimmel\",\"active\":false,\"score\":-48.7,\"tags\":[\"cuius\",\"congregatio\"]}", "2013-11-19 09:18:52.579565+00", "{\"n\":577328,\"name\":\"Nathanael Pfannerstill\",\"active\":false,\"score\":74.7,\"tags\":[\"usus\"]}", "2025-02-11 01:07:54.943284+00", "{\"n\":252602,\"name\":\"Alessandro Hettinger\",\"active\":true,\"score\":-9.1,\"tags\":[\"paens\",\"corroboro\"],\"address\":{\"city\":\"East Ebonyland\",\"zip\":null}}", "2023-03-18 04:54:39.761870+00", "{\"n\":313070,\"name\":\"Glenna Bosco\",\"active\":false,\"score\":54.8,\"tags\":[\"centum\",\"cogito\",\"vergo\"]}"
-- lane 1, operation 1: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "8", "tad_sauer54.1gtcj@example.net", "bad", "2020-06-17", "{\"Clothing\"}", "12", "emelie24.5gtcj@example.com", "fine", "2018-12-27", "{}", "16", "prudence.torp.9gtcj@example.com", "fine", "2019-11-20", "{\"Baby\",\"Shoes\",\"Shoes\",\"Jewelry\",\"Sports\"}", "20", "telly_halvorson42.13gtcj@example.org", "bad", "2010-12-05", "{}"
-- lane 1, operation 2: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "24", "brandt.schmitt.17gtcj@example.org", "fine", "2011-03-25", "{\"Beauty\",\"Baby\",\"Movies\"}", "28", "merlin_dickinson.21gtcj@example.com", "fine", "2009-05-16", "{\"Electronics\",\"Beauty\",\"Electronics\",\"Toys\",\"Shoes\"}", "32", "deangelo69.25gtcj@example.net", "fine", "2010-03-21", "{\"Kids\",\"Industrial\",\"Movies\",\"Jewelry\"}", "36", "delia_west.29gtcj@example.org", "fine", "2023-10-15", "{\"Music\",\"Tools\"}"
-- lane 1, operation 3: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "40", "holden_wiegand57.33gtcj@example.net", "fine", "2016-10-29", "{\"Music\",\"Toys\"}", "44", "danyka18.37gtcj@example.org", "fine", "2023-08-14", "{\"Industrial\",\"Industrial\"}", "48", "garnett.keebler.41gtcj@example.org", "bad", "2024-02-13", "{\"Kids\"}", "52", "ona.nitzsche-ward.45gtcj@example.net", "fine", "2026-07-31", NULL
-- lane 1, operation 4: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2024-11-24 08:48:54.304588+00", "{\"n\":132504,\"name\":\"Nelda Larkin\",\"active\":false,\"score\":-72.2,\"tags\":[\"coniecto\"]}", "2020-12-15 00:16:16.108860+00", "{\"n\":980470,\"name\":\"Jeffry Price\",\"active\":true,\"score\":99.3,\"tags\":[\"cetera\",\"sequi\",\"vulgaris\"]}", "2016-12-12 05:46:23.241660+00", "{\"n\":122439,\"name\":\"Eveline Welch\",\"active\":false,\"score\":-68.4,\"tags\":[]}", "2008-08-14 06:05:04.156378+00", "{\"n\":860607,\"name\":\"Mattie Stokes\",\"active\":false,\"score\":-68,\"tags\":[\"denuo\",\"totus\"]}"
-- lane 1, operation 5: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2025-09-04 11:37:21.331819+00", "tenus sunt comminor-1", "9.919723e-34", "2018-05-21 04:56:04.260742+00", "admiratio assentator et-5", "8.489759e1", "2023-05-20 23:12:30.837875+00", "ad charisma-9", "7.535339e3", "2016-03-23 18:21:23.395445+00", "claro-13", "7.655976e-3"
-- lane 1, operation 6: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "44", "2", "Royal Kshlerin", "-0.70", "12", "4", "Thomas Hahn", "89.61", "16", "6", "Jonathon Kemmer", "53.31", "8", "8", "Bailee Hegmann", "3.74"
-- lane 1, operation 7: update on public.visits
UPDATE "public"."visits" AS t SET "page" = $1, "seconds" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "dens modi comitatus-3", "-9.518664e5", (returned by the server for operation 5, statement 1, row 1), (returned by the server for operation 5, statement 1, row 1)
UPDATE "public"."visits" AS t SET "page" = $1, "seconds" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "dapifer delicate celebrer-7", "2.977801e27", (returned by the server for operation 5, statement 1, row 3), (returned by the server for operation 5, statement 1, row 3)
-- lane 1, operation 8: update on public.visits
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2, "seconds" = $3 WHERE t.ctid = $4::tid AND hashtextextended((t.*)::text, 0) = $5::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2008-09-16 23:48:58.096328+00", "vilitas-11", "4.620907e0", (returned by the server for operation 5, statement 1, row 4), (returned by the server for operation 5, statement 1, row 4)
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2, "seconds" = $3 WHERE t.ctid = $4::tid AND hashtextextended((t.*)::text, 0) = $5::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2020-05-31 21:17:38.380248+00", "ambulo uterque ambitus-15", "8.085557e17", (returned by the server for operation 5, statement 1, row 2), (returned by the server for operation 5, statement 1, row 2)
-- lane 1, operation 9: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2011-03-03 19:19:54.835695+00", "{\"n\":447146,\"name\":\"Ike Crooks\",\"active\":true,\"score\":-32,\"tags\":[\"deorsum\"],\"address\":{\"city\":\"Destineebury\",\"zip\":null}}", "2020-10-03 04:00:17.529286+00", "{\"n\":171524,\"name\":\"Linnie Farrell-Bergstrom\",\"active\":false,\"score\":40,\"tags\":[],\"address\":{\"city\":\"East Ike\",\"zip\":null}}", "2021-04-24 08:00:58.882879+00", "{\"n\":111900,\"name\":\"Vinnie Halvorson\",\"active\":true,\"score\":-56.3,\"tags\":[\"sono\"],\"address\":{\"city\":\"Morissettehaven\",\"zip\":null}}", "2015-06-26 17:17:36.774991+00", "{\"n\":778058,\"name\":\"Marco Schmitt\",\"active\":true,\"score\":-72.7,\"tags\":[\"arcus\",\"aetas\"]}"
-- lane 1, operation 10: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2023-04-10 17:48:23.538159+00", "caveo-17", "1.404545e-2", "2021-12-07 06:18:48.577423+00", "velit est-21", "6.788289e4", "2015-10-20 09:21:10.505659+00", "deludo-25", "3.319829e-3", "2009-05-31 20:05:07.198719+00", "demum-29", "-6.261935e-3"
-- lane 1, operation 11: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2019-12-08 13:35:57.353963+00", "fuga adnuo-33", "6.477155e29", "2010-05-05 16:28:06.786572+00", "bos suffragium varius-37", "4.198393e6", "2009-09-06 17:31:51.166959+00", "coerceo-41", "4.710065e6", "2023-05-02 12:12:35.329812+00", "cinis-45", "7.330897e1"
