generator_version 4
-- lane 0, operation 0: delete on public.people
DELETE FROM "public"."people" AS t WHERE t."id" = $1::bigint
  -- "3"
-- lane 0, operation 1: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "7", "irwin.beer.0gtcj@gmail.com", "bad", "2006-04-10", "{}", "11", "beaulah.graham4.4gtcj@hotmail.com", "bad", "3603-03-23", "{\"Movies\",\"Sports\",\"Automotive\",\"Tools\"}", "15", "winifred_weimann.8gtcj@hotmail.com", "bad", "2017-09-15", "{\"Garden\",\"Movies\",\"Beauty\",\"Automotive\"}", "19", "ivory_volkman.12gtcj@yahoo.com", "bad", "2004-11-11", "{NULL,\"Kids\",\"Games\",\"Games\",\"Garden\"}"
-- lane 0, operation 2: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "23", "cary28.16gtcj@yahoo.com", "fine", "2010-01-21", "{\"Health\",\"Kids\",\"Clothing\",\"Tools\"}", "27", "zula_willms74.20gtcj@yahoo.com", "fine", "2005-01-05", "{\"Clothing\",\"Electronics\",\"Outdoors\",\"Books\",\"Automotive\"}", "31", "ronald64.24gtcj@gmail.com", "bad", "2024-03-24", "{\"Beauty\"}", "35", "marge48.28gtcj@gmail.com", "bad", "2023-03-24", "{\"Grocery\",\"Home\",\"Home\",\"Toys\",NULL}"
-- lane 0, operation 3: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "2", "1", "Bob Purdy", "613.69", "2", "3", "Brielle Gusikowski", NULL, "2", "5", "Minnie Senger", NULL, "2", "7", "Leda Langworth", "-433.73"
-- lane 0, operation 4: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "39", "loraine37.32gtcj@yahoo.com", "fine", "2016-10-20", NULL, "43", "roel.macgyver.36gtcj@hotmail.com", "bad", "2012-07-21", "{\"Electronics\",\"Garden\",\"Outdoors\",\"Garden\",\"Movies\"}", "47", "jamey44.40gtcj@yahoo.com", "fine", "2005-01-08", "{\"Clothing\"}", "51", "rosemarie.okeefe.44gtcj@gmail.com", "fine", "2009-07-14", NULL
-- lane 0, operation 5: update on public.people
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "lynne_berge.2gtcj@hotmail.com", "fine", "2014-12-01", "35"
UPDATE "public"."people" AS t SET "email" = $1, "mood" = $2, "born" = $3 WHERE t."id" = $4::bigint
  -- "jordy51.6gtcj@gmail.com", "bad", "2010-10-01", "19"
-- lane 0, operation 6: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2021-12-01 21:37:08.050564+00", "{\"n\":326858,\"name\":\"Miss Margarett Windler\",\"active\":false,\"score\":65.7,\"tags\":[\"derelinquo\",\"crepusculum\",\"solutio\"]}", "2011-02-01 04:27:04.529717+00", "{\"n\":780566,\"name\":\"Telly Gleason\",\"active\":true,\"score\":-12.8,\"tags\":[\"eius\",\"tyrannus\"],\"address\":{\"city\":\"New Guidochester\",\"zip\":null}}", NULL, "{\"n\":889965,\"name\":\"Christa Dare-Cassin\",\"active\":false,\"score\":-75.9,\"tags\":[]}", "2011-09-17 17:47:16.960601+00", "{\"n\":487750,\"name\":\"Terrell Morissette DVM\",\"active\":false,\"score\":-21.1,\"tags\":[],\"address\":{\"city\":\"New Delbert\",\"zip\":null}}"
-- lane 0, operation 7: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2001-10-11 07:11:07.444773+00", "{\"n\":404941,\"name\":\"Cloyd Herman\",\"active\":false,\"score\":79.7,\"tags\":[\"pauci\"]}", "2009-03-30 07:12:37.449813+00", "{\"n\":626673,\"name\":\"Anne Hermann III\",\"active\":true,\"score\":88.3,\"tags\":[\"delego\",\"adiuvo\"]}", "2016-06-21 10:24:39.118818+00", "{\"n\":982469,\"name\":\"Horace Green\",\"active\":false,\"score\":38.4,\"tags\":[\"thesis\",\"arma\",\"patrocinor\"]}", "2023-10-18 15:34:34.345529+00", "{\"n\":821772,\"name\":\"Jessy Mayer\",\"active\":true,\"score\":-24.8,\"tags\":[],\"address\":{\"city\":\"Fort Bobfurt\",\"zip\":null}}"
-- lane 0, operation 8: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2014-05-14 10:22:10.763707+00", "{\"n\":532336,\"name\":\"Sigmund Runolfsdottir PhD\",\"active\":false,\"score\":-98,\"tags\":[]}", "2003-04-22 04:06:51.944501+00", "{\"n\":226523,\"name\":\"Joshua Mertz\",\"active\":false,\"score\":36.1,\"tags\":[\"paulatim\",\"illum\"]}", "2020-02-09 03:00:10.207636+00", "{\"n\":287189,\"name\":\"Nia Heidenreich\",\"active\":false,\"score\":-50.8,\"tags\":[\"crapula\",\"aggero\",\"vehemens\"],\"address\":{\"city\":\"Eliasview\",\"zip\":null}}", "2024-04-07 09:36:39.336135+00", "{\"n\":14125,\"name\":\"Kenny Terry\",\"active\":false,\"score\":18.4,\"tags\":[\"clibanus\"],\"address\":{\"city\":\"North Marianville\",\"zip\":null}}"
-- lane 0, operation 9: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Miss Stephania Rolfson", "0.88", "2", "3"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Jarrod Bechtelar", "3.80", "2", "5"
-- lane 0, operation 10: delete on public.pets
DELETE FROM "public"."pets" AS t WHERE t."person" = $1::bigint AND t."nr" = $2::smallint
  -- "2", "1"
-- lane 0, operation 11: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2018-08-06 06:48:56.105479+00", "{\"n\":777488,\"name\":\"Juanita Morissette\",\"active\":true,\"score\":16.1,\"tags\":[\"crudelis\",\"tum\",\"vinculum\"],\"address\":{\"city\":\"Victorville\",\"zip\":null}}", "2015-01-05 03:15:10.895656+00", "{\"n\":704198,\"name\":\"Dolores Pfannerstill\",\"active\":true,\"score\":54.4,\"tags\":[\"arma\",\"quis\",\"super\"]}", "2003-08-19 11:30:42.688867+00", "{\"n\":156032,\"name\":\"Lester McGlynn\",\"active\":true,\"score\":50.1,\"tags\":[\"spoliatio\",\"crustulum\"],\"address\":{\"city\":\"South Vincenzohaven\",\"zip\":null}}", "2023-05-22 10:21:30.930629+00", "{\"n\":121550,\"name\":\"Royal Mohr\",\"active\":false,\"score\":30.5,\"tags\":[\"patior\"],\"address\":{\"city\":\"Glen Burnie\",\"zip\":null}}"
-- lane 1, operation 0: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- NULL, "{\"n\":396144,\"name\":\"Ruby Kunde\",\"active\":true,\"score\":-37.4,\"tags\":[\"sub\"],\"address\":{\"city\":\"Glen Burnie\",\"zip\":null}}", "2016-04-20 13:54:34.666751+00", "{\"n\":577328,\"name\":\"Danny Turner\",\"active\":true,\"score\":-28.2,\"tags\":[\"velut\",\"at\",\"crur\"],\"address\":{\"city\":\"Sylvesterstad\",\"zip\":null}}", "0472-06-30 22:10:05.433376+00", "{\"n\":252602,\"name\":\"Anais Kuphal\",\"active\":true,\"score\":99.3,\"tags\":[\"cito\"],\"address\":{\"city\":\"Fort Mindy\",\"zip\":null}}", "2020-11-20 18:17:05.152716+00", "{\"n\":313070,\"name\":\"Walter Ferry\",\"active\":false,\"score\":5.5,\"tags\":[\"aeternus\",\"thermae\",\"summopere\"],\"address\":{\"city\":\"Ebonyview\",\"zip\":null}}"
-- lane 1, operation 1: insert on public.people
INSERT INTO "public"."people" AS t ("id", "email", "mood", "born", "tags") VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10), ($11, $12, $13, $14, $15), ($16, $17, $18, $19, $20)
  -- "8", "ryleigh.rath.1gtcj@gmail.com", "bad", "2018-01-17", "{\"Home\"}", "12", "edmond.herman.5gtcj@gmail.com", "fine", "2022-02-19", "{}", "16", "haylie.lind2.9gtcj@hotmail.com", "fine", "2004-11-29", "{\"Baby\",\"Outdoors\",\"Books\",\"Kids\",\"Beauty\"}", "20", "derrick.hyatt.13gtcj@yahoo.com", "bad", "2001-03-01", "{}"
-- lane 1, operation 2: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2023-08-31 20:15:31.473843+00", "{\"n\":760048,\"name\":\"Augustus Kohler\",\"active\":false,\"score\":23.2,\"tags\":[\"sol\"],\"address\":{\"city\":\"Lake Gregburgh\",\"zip\":null}}", "6148-11-02 17:26:48.813200+00", "{\"n\":720052,\"name\":\"Dr. Marvin Quigley\",\"active\":true,\"score\":85.2,\"tags\":[\"aspicio\",\"terminatio\",\"viscus\"],\"address\":{\"city\":\"Fairfield\",\"zip\":null}}", "2023-06-16 09:47:44.884118+00", "{\"n\":990996,\"name\":\"Paul Satterfield\",\"active\":false,\"score\":-82.5,\"tags\":[\"clibanus\",\"tabernus\"],\"address\":{\"city\":\"South Amira\",\"zip\":null}}", "2009-03-18 18:51:26.503496+00", "{\"n\":186881,\"name\":\"Cary Wuckert\",\"active\":true,\"score\":-88.4,\"tags\":[]}"
-- lane 1, operation 3: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2025-08-07 00:16:25.848248+00", "{\"n\":402454,\"name\":\"Elaina Toy\",\"active\":true,\"score\":-3.7,\"tags\":[\"turbo\",\"thorax\",\"suus\"]}", "2008-11-16 07:48:03.815385+00", "{\"n\":528264,\"name\":\"Monty Beer\",\"active\":true,\"score\":53.1,\"tags\":[\"clarus\",\"tam\"],\"address\":{\"city\":\"North Abigail\",\"zip\":null}}", "2018-06-23 05:22:54.241409+00", "{\"n\":713901,\"name\":\"Ms. Rozella Barrows\",\"active\":true,\"score\":-60.6,\"tags\":[\"beatus\",\"patruus\"],\"address\":{\"city\":\"South Bartholomemouth\",\"zip\":null}}", "2002-05-10 19:22:49.759491+00", "{\"n\":493363,\"name\":\"Jordane Durgan V\",\"active\":true,\"score\":-34.3,\"tags\":[\"candidus\",\"sopor\",\"tumultus\"]}"
-- lane 1, operation 4: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2016-10-27 07:18:36.997110+00", "{\"n\":132504,\"name\":\"Robb Vandervort\",\"active\":false,\"score\":16,\"tags\":[\"sapiente\"]}", "2025-09-20 02:36:45.009542+00", "{\"n\":980470,\"name\":\"Nigel Kassulke\",\"active\":true,\"score\":50.1,\"tags\":[]}", "2019-12-28 05:47:59.542490+00", "{\"n\":122439,\"name\":\"Mrs. Denise Hirthe\",\"active\":true,\"score\":-40.3,\"tags\":[\"aegrotatio\",\"verbum\",\"ea\"]}", "2019-09-01 03:45:11.031223+00", "{\"n\":860607,\"name\":\"Lisa Toy\",\"active\":true,\"score\":25,\"tags\":[],\"address\":{\"city\":\"Kuhlmanbury\",\"zip\":null}}"
-- lane 1, operation 5: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "8", "2", "Janelle Funk", "-0.95", "16", "4", "Marcella Kuhlman", "657.07", "16", "6", "Eveline McKenzie", "7.94", "8", "8", "Neal Nikolaus", "-17.67"
-- lane 1, operation 6: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "8", "10", "Jovan Kuhn", "-0.70", "1", "12", "Cade Buckridge", "89.61", "1", "14", "Jorge Ryan-Hettinger", "53.31", "1", "16", "Mireya Nolan", "3.74"
-- lane 1, operation 7: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Graciela Wolff", NULL, "8", "2"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Dr. Macie Hintz", "4.55", "16", "6"
-- lane 1, operation 8: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Mrs. Harriet Schimmel", "7.32", "8", "8"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Marian Haley", "55.16", "16", "4"
-- lane 1, operation 9: insert on public.notes
INSERT INTO "public"."notes" AS t ("at", "body") VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) RETURNING t.ctid::text, hashtextextended(t::text, 0)::text
  -- "2005-11-13 20:03:24.245290+00", "{\"n\":447146,\"name\":\"Ms. Ana Pfannerstill\",\"active\":true,\"score\":-18.2,\"tags\":[\"acsi\"]}", "2021-10-31 12:42:10.557713+00", "{\"n\":171524,\"name\":\"Mr. Emiliano Beatty\",\"active\":true,\"score\":97,\"tags\":[\"sodalitas\",\"tenetur\"]}", "2017-08-27 21:11:20.492932+00", "{\"n\":111900,\"name\":\"Gonzalo Kuphal-Kessler\",\"active\":false,\"score\":-61.3,\"tags\":[\"possimus\",\"eveniet\"]}", "2007-12-28 18:35:59.995799+00", "{\"n\":778058,\"name\":\"Madaline Veum\",\"active\":true,\"score\":31.2,\"tags\":[\"labore\"],\"address\":{\"city\":\"Kristown\",\"zip\":null}}"
-- lane 1, operation 10: update on public.pets
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Eliezer Wilkinson", "0.43", "1", "16"
UPDATE "public"."pets" AS t SET "name" = $1, "weight" = $2 WHERE t."person" = $3::bigint AND t."nr" = $4::smallint
  -- "Madge Daniel", "49.08", "8", "10"
-- lane 1, operation 11: insert on public.pets
INSERT INTO "public"."pets" AS t ("person", "nr", "name", "weight") VALUES ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16)
  -- "4", "18", "Ruby Labadie", "-39.62", "4", "20", "Aurelia Hane", "61.21", "1", "22", "Essie Streich", "2.63", "20", "24", "Ryann Maggio DDS", "2.07"
