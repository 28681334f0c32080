generator_version 7
-- lane 0, operation 0: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "2", "1", "Pietro Cassin", "-49.63", "2", "3", "Lindsay Schultz", "3.31", "2", "5", "Ferne Weissnat", "926.11", "3", "7", "Mireya Padberg", "0.14"
-- lane 0, operation 1: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "7", "abdul.turcotte.0gtcj@yahoo.com", "bad", "2006-04-10", "{}", "11", "penelope.carter-dickens47.4gtcj@gmail.com", "bad", "3603-03-23", "{\"Jewelry\",\"Music\",\"Automotive\",\"Kids\"}", "15", "alivia_gottlieb54.8gtcj@yahoo.com", "bad", "2017-09-15", "{\"Books\",\"Clothing\",\"Clothing\",\"Baby\"}", "19", "gianni1.12gtcj@yahoo.com", "bad", "2004-11-11", "{NULL,\"Music\",\"Games\",\"Automotive\",\"Jewelry\"}"
-- lane 0, operation 2: delete on public.people
DELETE FROM "public"."people" AS t WHERE t."id" = $1::bigint
  -- "5"
-- lane 0, operation 3: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2011-02-05 15:13:57.636431+00", "caelum-0", NULL, "2011-09-19 15:09:35.375381+00", "tantillus vitiosus-4", "4.121465e-3", "2008-07-06 11:26:03.941984+00", "curia articulus-8", "-7.385521e-20", "2013-06-17 10:11:36.775411+00", "depromo succedo ultio-12", "-3.898047e2"
-- lane 0, operation 4: update on public.people
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "desiree_greenfelder.2gtcj@gmail.com", "fine", "2016-10-20", "3"
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "stanford.ohara32.6gtcj@yahoo.com", "bad", "2012-07-21", "11"
-- lane 0, operation 5: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Deja Kuhlman", "472.35", "3", "7"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Amely Senger", "8.47", "2", "3"
-- lane 0, operation 6: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2021-12-01 21:37:08.050564+00", "{\"n\":326858,\"name\":\"Rodrigo Abbott\",\"active\":true,\"score\":-59.4,\"tags\":[\"venio\",\"benevolentia\",\"ambitus\"]}", "2011-02-01 04:27:04.529717+00", "{\"n\":780566,\"name\":\"Liza Erdman\",\"active\":false,\"score\":-93.1,\"tags\":[\"atrox\",\"bardus\"]}", NULL, "{\"n\":889965,\"name\":\"Deshawn Windler\",\"active\":true,\"score\":84.3,\"tags\":[\"commodo\"]}", "2011-09-17 17:47:16.960601+00", "{\"n\":487750,\"name\":\"Della Wunsch\",\"active\":true,\"score\":66.9,\"tags\":[\"consectetur\",\"aer\"],\"address\":{\"city\":\"Fort Franciscabury\",\"zip\":null}}"
-- lane 0, operation 7: update on public.notes
UPDATE "public"."notes" AS t SET "at" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2001-10-11 07:11:07.444773+00", (told by the server after operation 6, statement 1, row 4), (told by the server after operation 6, statement 1, row 4)
UPDATE "public"."notes" AS t SET "at" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2009-03-30 07:12:37.449813+00", (told by the server after operation 6, statement 1, row 3), (told by the server after operation 6, statement 1, row 3)
-- lane 0, operation 8: update on public.notes
UPDATE "public"."notes" AS t SET "body" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "{\"n\":532336,\"name\":\"Urban Schuppe\",\"active\":false,\"score\":-9.4,\"tags\":[],\"address\":{\"city\":\"Treutelview\",\"zip\":null}}", (told by the server after operation 6, statement 1, row 1), (told by the server after operation 6, statement 1, row 1)
UPDATE "public"."notes" AS t SET "body" = $1 WHERE t.ctid = $2::tid AND hashtextextended((t.*)::text, 0) = $3::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "{\"n\":226523,\"name\":\"Nicklaus McCullough\",\"active\":true,\"score\":9.4,\"tags\":[]}", (told by the server after operation 6, statement 1, row 2), (told by the server after operation 6, statement 1, row 2)
-- lane 0, operation 9: update on public.visits
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2001-05-19 14:38:21.481842+00", "dolor atque-2", (told by the server after operation 3, statement 1, row 2), (told by the server after operation 3, statement 1, row 2)
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2025-01-15 05:54:09.408482+00", "esse nesciunt uxor-6", (told by the server after operation 3, statement 1, row 3), (told by the server after operation 3, statement 1, row 3)
-- lane 0, operation 10: delete on public.visits
DELETE FROM "public"."visits" AS t WHERE t.ctid = $1::tid AND hashtextextended((t.*)::text, 0) = $2::bigint
  -- (told by the server after operation 3, statement 1, row 1), (told by the server after operation 3, statement 1, row 1)
-- lane 0, operation 11: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "23", "vincenzo_schiller63.16gtcj@yahoo.com", "bad", "7374-05-20", "{\"Baby\",\"Outdoors\"}", "27", "edwina.kutch.20gtcj@yahoo.com", "bad", "2015-03-15", "{}", "31", "oliver57.24gtcj@yahoo.com", "bad", "2011-12-17", "{\"Movies\",\"Automotive\",\"Beauty\",\"Grocery\"}", "35", "ulises_dickinson.28gtcj@yahoo.com", "bad", "6638-01-14", "{\"Books\",\"Sports\",\"Outdoors\",\"Shoes\"}"
-- lane 1, operation 0: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- NULL, "{\"n\":396144,\"name\":\"Jamel Schimmel\",\"active\":false,\"score\":-48.7,\"tags\":[\"cuius\",\"congregatio\"]}", "2016-04-20 13:54:34.666751+00", "{\"n\":577328,\"name\":\"Nathanael Pfannerstill\",\"active\":false,\"score\":74.7,\"tags\":[\"usus\"]}", "0472-06-30 22:10:05.433376+00", "{\"n\":252602,\"name\":\"Alessandro Hettinger\",\"active\":true,\"score\":-9.1,\"tags\":[\"paens\",\"corroboro\"],\"address\":{\"city\":\"East Ebonyland\",\"zip\":null}}", "2020-11-20 18:17:05.152716+00", "{\"n\":313070,\"name\":\"Glenna Bosco\",\"active\":false,\"score\":54.8,\"tags\":[\"centum\",\"cogito\",\"vergo\"]}"
-- lane 1, operation 1: update on public.people
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "ewell55.3gtcj@yahoo.com", "bad", "2018-01-17", "4"
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "heidi.willms20.7gtcj@gmail.com", "fine", "2022-02-19", "6"
-- lane 1, operation 2: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "8", "tad_sauer54.1gtcj@hotmail.com", "fine", "2002-01-05", "{\"Beauty\",\"Baby\",\"Movies\"}", "12", "emelie24.5gtcj@gmail.com", "fine", "2022-11-02", "{\"Electronics\",\"Beauty\",\"Electronics\",\"Toys\",\"Shoes\"}", "16", "prudence.torp.9gtcj@gmail.com", "fine", "2015-06-18", "{\"Kids\",\"Industrial\",\"Movies\",\"Jewelry\"}", "20", "telly_halvorson42.13gtcj@yahoo.com", "fine", "2017-07-14", "{\"Music\",\"Tools\"}"
-- lane 1, operation 3: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "24", "brandt.schmitt.17gtcj@yahoo.com", "fine", "2018-08-09", "{\"Music\",\"Toys\"}", "28", "merlin_dickinson.21gtcj@gmail.com", "fine", "2013-06-12", "{\"Industrial\",\"Industrial\"}", "32", "deangelo69.25gtcj@hotmail.com", "bad", "2012-11-27", "{\"Kids\"}", "36", "delia_west.29gtcj@yahoo.com", "fine", "9934-02-23", NULL
-- lane 1, operation 4: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2016-10-27 07:18:36.997110+00", "{\"n\":132504,\"name\":\"Nelda Larkin\",\"active\":false,\"score\":-72.2,\"tags\":[\"coniecto\"]}", "2025-09-20 02:36:45.009542+00", "{\"n\":980470,\"name\":\"Jeffry Price\",\"active\":true,\"score\":99.3,\"tags\":[\"cetera\",\"sequi\",\"vulgaris\"]}", "2019-12-28 05:47:59.542490+00", "{\"n\":122439,\"name\":\"Eveline Welch\",\"active\":false,\"score\":-68.4,\"tags\":[]}", "2019-09-01 03:45:11.031223+00", "{\"n\":860607,\"name\":\"Mattie Stokes\",\"active\":false,\"score\":-68,\"tags\":[\"denuo\",\"totus\"]}"
-- lane 1, operation 5: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "4843-04-15 23:39:40.763536+00", "tenus sunt comminor-1", "9.919723e-34", "2020-11-11 06:15:28.717053+00", "admiratio assentator et-5", "8.489759e1", "2001-10-30 20:06:32.639464+00", "ad charisma-9", "7.535339e3", "2006-11-19 09:29:26.816310+00", "claro-13", "7.655976e-3"
-- lane 1, operation 6: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "16", "2", "Royal Kshlerin", "-0.70", "4", "4", "Thomas Hahn", "89.61", "4", "6", "Jonathon Kemmer", "53.31", "1", "8", "Bailee Hegmann", "3.74"
-- lane 1, operation 7: update on public.visits
UPDATE "public"."visits" AS t SET "page" = $1, "seconds" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "dens modi comitatus-3", "-9.518664e5", (told by the server after operation 5, statement 1, row 1), (told by the server after operation 5, statement 1, row 1)
UPDATE "public"."visits" AS t SET "page" = $1, "seconds" = $2 WHERE t.ctid = $3::tid AND hashtextextended((t.*)::text, 0) = $4::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "dapifer delicate celebrer-7", "2.977801e27", (told by the server after operation 5, statement 1, row 3), (told by the server after operation 5, statement 1, row 3)
-- lane 1, operation 8: update on public.visits
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2, "seconds" = $3 WHERE t.ctid = $4::tid AND hashtextextended((t.*)::text, 0) = $5::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2001-03-12 02:18:42.565446+00", "vilitas-11", "4.620907e0", (told by the server after operation 5, statement 1, row 4), (told by the server after operation 5, statement 1, row 4)
UPDATE "public"."visits" AS t SET "at" = $1, "page" = $2, "seconds" = $3 WHERE t.ctid = $4::tid AND hashtextextended((t.*)::text, 0) = $5::bigint RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2003-10-28 09:07:33.999716+00", "ambulo uterque ambitus-15", "8.085557e17", (told by the server after operation 5, statement 1, row 2), (told by the server after operation 5, statement 1, row 2)
-- lane 1, operation 9: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2005-11-13 20:03:24.245290+00", "{\"n\":447146,\"name\":\"Ike Crooks\",\"active\":true,\"score\":-32,\"tags\":[\"deorsum\"],\"address\":{\"city\":\"Destineebury\",\"zip\":null}}", "2021-10-31 12:42:10.557713+00", "{\"n\":171524,\"name\":\"Linnie Farrell-Bergstrom\",\"active\":false,\"score\":40,\"tags\":[],\"address\":{\"city\":\"East Ike\",\"zip\":null}}", "2017-08-27 21:11:20.492932+00", "{\"n\":111900,\"name\":\"Vinnie Halvorson\",\"active\":true,\"score\":-56.3,\"tags\":[\"sono\"],\"address\":{\"city\":\"Morissettehaven\",\"zip\":null}}", "2007-12-28 18:35:59.995799+00", "{\"n\":778058,\"name\":\"Marco Schmitt\",\"active\":true,\"score\":-72.7,\"tags\":[\"arcus\",\"aetas\"]}"
-- lane 1, operation 10: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2007-06-16 12:54:56.850955+00", "caveo-17", "1.404545e-2", "2019-06-06 13:51:29.789036+00", "velit est-21", "6.788289e4", "2016-04-05 12:08:08.943754+00", "deludo-25", "3.319829e-3", "2005-01-30 04:46:09.928741+00", "demum-29", "-6.261935e-3"
-- lane 1, operation 11: insert on public.visits
INSERT INTO "public"."visits" AS t ("at", "page", "seconds") VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12) RETURNING t.ctid::text, hashtextextended((t.*)::text, 0)::text
  -- "2011-11-03 08:29:42.381621+00", "fuga adnuo-33", "6.477155e29", "2008-11-06 18:52:39.436448+00", "bos suffragium varius-37", "4.198393e6", "2007-09-29 04:00:25.149296+00", "coerceo-41", "4.710065e6", "2013-04-14 07:54:55.039192+00", "cinis-45", "7.330897e1"
